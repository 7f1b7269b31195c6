// Every example is run: a folder `examples/<name>` has its program in `<name>.ts`.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startProgram } from './helpers/children.js';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(checkout, 'examples');

/** They serve until they are told to stop, so that tests of their own talk to them. */
const servers = new Set(['prefork-http']);

const names = existsSync(folder)
  ? readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  : [];

describe('examples', () => {
  it('have a program of the name of their folder', () => {
    expect(names.filter((name) => !existsSync(join(folder, name, `${name}.ts`)))).toEqual([]);
  });

  it.each(names.filter((name) => !servers.has(name)))(
    '%s runs to its end',
    { timeout: 60_000 },
    async (name) => {
      const program = join(checkout, 'build/ts/examples', name, `${name}.js`);
      await startProgram(process.execPath, [program]).succeeded();
    },
  );
});
