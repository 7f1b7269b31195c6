// Bytes that go with a connection that is passed on: what a worker refuses must be what the manager does not take.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** The value of a constant that is a product of numbers, in Rust or TypeScript. */
function constantOf(path: string, name: string): number {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const [, product = ''] = new RegExp(`\\b${name}: \\w+ = ([\\d_ *]+);`).exec(text) ?? [];
  return product.split('*').reduce((value, factor) => value * Number(factor.replaceAll('_', '')), 1);
}

it('states one limit in the worker and in the core', () => {
  const inCore = constantOf('crates/fdpass/src/prefork/manager/config.rs', 'MAX_PREFIX');
  expect(inCore).toBe(256 * 1024);
  expect(constantOf('src/prefork/passing.ts', 'MOST_PASSED')).toBe(inCore);
});
