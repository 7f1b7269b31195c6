import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { isRoot, startFixture, startProgram, UNPRIVILEGED_UID } from './helpers/children.js';
import { runCleanups } from './helpers/cleanup.js';
import { temporaryFolder } from './helpers/sockets.js';

it('starts a fixture by name, sees its first line and its end', async () => {
  const child = startFixture('print-and-wait', ['a', 'b']);
  expect(await child.firstLine()).toMatch(/^ready \d+ a b$/);
  child.process.stdin?.end();
  expect((await child.exited).code).toBe(0);
});

it('ends a child that the test left running', async () => {
  const child = startFixture('print-and-wait');
  await child.firstLine();
  await runCleanups();
  expect((await child.exited).signal).toBe('SIGKILL');
});

it('tells why no line came', async () => {
  const child = startProgram(process.execPath, ['-e', 'console.error("no luck"); process.exitCode = 3']);
  await expect(child.firstLine()).rejects.toThrow(/ended with 3 .*\n*no luck/);
});

// Only root may become another user.
it.runIf(isRoot())('starts a child as the user that owns nothing', async () => {
  const child = startProgram('id', ['-u'], { unprivileged: true });
  expect(await child.succeeded()).toBe(`${UNPRIVILEGED_UID}\n`);
});

it('removes temporary folders', async () => {
  const folder = temporaryFolder();
  expect(existsSync(folder)).toBe(true);
  await runCleanups();
  expect(existsSync(folder)).toBe(false);
});
