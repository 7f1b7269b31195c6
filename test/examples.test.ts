// Every example is run: a folder `examples/<name>` has its program in `<name>.ts`.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startProgram } from './helpers/children.js';
import { freePort } from './helpers/sockets.js';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(checkout, 'examples');

/** These have tests of their own: what they print is looked at, or they serve until they are told to stop. */
const looked = new Set(['demo', 'prefork-http']);

const names = existsSync(folder)
  ? readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  : [];

describe('examples', () => {
  it('have a program of the name of their folder', () => {
    expect(names.filter((name) => !existsSync(join(folder, name, `${name}.ts`)))).toEqual([]);
  });

  it.each(names.filter((name) => !looked.has(name)))(
    '%s runs to its end',
    { timeout: 60_000 },
    async (name) => {
      const program = join(checkout, 'build/ts/examples', name, `${name}.js`);
      await startProgram(process.execPath, [program]).succeeded();
    },
  );

  /** What the demonstration must have shown, in this order. */
  const shown = [
    'a file',
    'a pipe',
    'a terminal',
    'a listening TCP socket',
    'a live TCP connection',
    '1,000 files',
    'a file whose sender is dead',
  ];
  const proofs = (output: string): string[] =>
    [...output.matchAll(/^\u2713 (.+?)\r?$/gm)].map(([, what = '']) => what);
  const demo = join(checkout, 'build/ts/examples/demo/demo.js');

  it('demo proves what it passes', { timeout: 60_000 }, async () => {
    const output = await startProgram(process.execPath, [demo]).succeeded();
    expect(proofs(output)).toEqual(shown.filter((what) => what !== 'a terminal'));
    expect(output).toContain('- a terminal: there is none here');
  });

  // `script` of util-linux makes the terminal; macOS has one with other options.
  it.runIf(process.platform === 'linux')(
    'demo passes the terminal too, where there is one',
    { timeout: 60_000 },
    async () => {
      const terminal = ['-qec', `"${process.execPath}" "${demo}"`, '/dev/null'];
      const child = startProgram('script', terminal, { stdio: ['ignore', 'pipe', 'inherit'] });
      expect(proofs(await child.succeeded())).toEqual(shown);
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
