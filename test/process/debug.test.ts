import { expect, it } from 'vitest';
import { startFixture } from '../helpers/children.js';

it('tells where an Fd was made that is used after its end, with FDPASS_DEBUG=1', async () => {
  const output = await startFixture('use-after-close', [], { env: { FDPASS_DEBUG: '1' } }).succeeded();
  expect(output).toContain('it was closed');
  expect(output).toMatch(/It was made\n.*openSomewhere/s);
});

it('keeps no stacks without it', async () => {
  const output = await startFixture('use-after-close').succeeded();
  expect(output).not.toContain('It was made');
});
