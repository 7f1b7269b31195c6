// Every example is run: a folder `examples/<name>` has its program in `<name>.ts`.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startProgram } from './helpers/children.js';
import { freePort } from './helpers/sockets.js';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(checkout, 'examples');

/** They serve until they are told to stop. */
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

  it('prefork-http serves until SIGTERM', { timeout: 60_000 }, async () => {
    const port = await freePort();
    const program = join(checkout, 'build/ts/examples/prefork-http/prefork-http.js');
    const server = startProgram(process.execPath, [program], { env: { PORT: `${port}`, WORKERS: '2' } });
    expect(await server.firstLine()).toBe('ready');
    const headers = { Connection: 'close' };
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers });
    expect(await response.text()).toBe('hello\n');
    server.process.kill('SIGTERM');
    await server.succeeded();
  });
});
