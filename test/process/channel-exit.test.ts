// How a process with open channels ends.
import { expect, it } from 'vitest';
import { startFixture } from '../helpers/children.js';
import { temporarySocketPath } from '../helpers/sockets.js';

async function endOf(way: string): Promise<{ code: number | null; stderr: string }> {
  const child = startFixture('end-with-channels', [way, temporarySocketPath()]);
  const { code, stderr } = await child.exited;
  return { code, stderr };
}

it.each(['unref', 'never used', 'destroy'])('by itself: %s', async (way) => {
  expect(await endOf(way)).toEqual({ code: 0, stderr: '' });
});

it('by process.exit() inside a listener', async () => {
  expect(await endOf('exit')).toEqual({ code: 3, stderr: '' });
});

it('by an exception of a listener that nobody catches', async () => {
  const { code, stderr } = await endOf('throw');
  expect(code).toBe(1);
  expect(stderr).toContain('on purpose');
});
