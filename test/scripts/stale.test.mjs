import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../../scripts/steps/command.mjs';
import { whenStale } from '../../scripts/steps/stale.mjs';
import { atEndOfTest } from '../helpers/cleanup.js';

const name = `stale-test-${process.pid}`;
const folder = `build/${name}`;
const of = { inputs: [`${folder}/in`], outputs: [`${folder}/out`] };

it('makes what is missing or stale, and nothing that is fresh', async () => {
  mkdirSync(join(root, folder, 'in'), { recursive: true });
  atEndOfTest(() => rmSync(join(root, folder), { recursive: true }));
  atEndOfTest(() => rmSync(join(root, 'build/stamps', name), { force: true }));
  write('in/a', 'one');
  expect(await build()).toBe('made');
  expect(await build()).toBe('fresh');

  write('in/a', 'two');
  expect(await build()).toBe('made');
  write('in/b', 'a new file');
  expect(await build()).toBe('made');

  write('out', 'changed by someone else');
  expect(await build()).toBe('made');
  rmSync(join(root, folder, 'out'));
  expect(await build()).toBe('made');
  expect(await build()).toBe('fresh');
});

it('tries again after a failure', async () => {
  mkdirSync(join(root, folder), { recursive: true });
  atEndOfTest(() => rmSync(join(root, folder), { recursive: true }));
  expect(await whenStale(name, of, async () => false)).toBe('failed');
  expect(await whenStale(name, of, async () => false)).toBe('failed');
  expect(existsSync(join(root, 'build/stamps', name))).toBe(false);
});

function build() {
  return whenStale(name, of, async () => {
    write('out', 'made');
    return true;
  });
}

function write(path, text) {
  writeFileSync(join(root, folder, path), text);
}
