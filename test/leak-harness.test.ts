// The harness runs around every test of the suite; here it is shown to see what it must see.
import { closeSync, openSync, renameSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startProgram } from './helpers/children.js';
import { atEndOfTest } from './helpers/cleanup.js';
import { assertSameDescriptors, openDescriptors } from './helpers/leaks.js';
import { temporaryFolder } from './helpers/sockets.js';

describe('the leak harness', () => {
  it('accepts a test that leaves everything as it was', async () => {
    const before = openDescriptors();
    closeSync(openSync('/dev/null', 'r'));
    await assertSameDescriptors(before);
  });

  it('names a descriptor that was leaked', async () => {
    const before = openDescriptors();
    const fd = openSync('/dev/null', 'r');
    atEndOfTest(() => closeSync(fd));
    await expect(assertSameDescriptors(before, 0)).rejects.toThrow(`leaked: ${fd} -> `);
  });

  it('names a descriptor that was closed but is not the test’s own', async () => {
    const fd = openSync('/dev/null', 'r');
    const before = openDescriptors();
    closeSync(fd);
    await expect(assertSameDescriptors(before, 0)).rejects.toThrow(`wrongly closed: ${fd} -> `);
  });

  it('notices another file under a number that was open before, though the count is the same', async () => {
    const fd = openSync('/dev/null', 'r');
    const before = openDescriptors();
    closeSync(fd);
    const other = openSync(import.meta.filename, 'r');
    atEndOfTest(() => closeSync(other));
    expect(other).toBe(fd);
    await expect(assertSameDescriptors(before, 0)).rejects.toThrow(`exchanged: ${fd} -> `);
  });

  it('waits for a server that is still closing', async () => {
    const before = openDescriptors();
    const server = await listening();
    server.close();
    await assertSameDescriptors(before);
  });

  it('takes a renamed file for the same file', async () => {
    const folder = temporaryFolder();
    const fd = openSync(join(folder, 'a'), 'w');
    atEndOfTest(() => closeSync(fd));
    const before = openDescriptors();
    renameSync(join(folder, 'a'), join(folder, 'b'));
    await assertSameDescriptors(before);
  });
});

it('fails each test of a suite that breaks the rules, and no other', async () => {
  const suite = fileURLToPath(new URL('fixtures/leaky-suite/vitest.config.ts', import.meta.url));
  const vitest = fileURLToPath(new URL('../node_modules/.bin/vitest', import.meta.url));
  const child = startProgram(vitest, ['run', '--config', suite, '--reporter=json'], { env: { VITEST: '' } });
  const { code, stdout } = await child.exited;
  expect(code).toBe(1);
  const [file] = (JSON.parse(stdout) as Outcome).testResults;
  expect(
    file?.assertionResults.map(({ title, status, failureMessages }) => [
      title,
      status,
      failureMessages.length,
    ]),
  ).toEqual([
    ['leaks a descriptor', 'failed', 1],
    ['closes a descriptor that is not its own', 'failed', 1],
    ['leaves everything as it was', 'passed', 0],
  ]);
});

/** What this test reads of vitest's JSON report. */
interface Outcome {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

function listening(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
  });
}
