// Worker threads that end with busy channels, while the main thread's own go on. Alone: descriptors of all threads are
// counted.
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { channels } from '../helpers/channels.js';
import { fixturePath } from '../helpers/children.js';
import { nullFd } from '../helpers/descriptors.js';
import { assertSameDescriptors, openDescriptors } from '../helpers/leaks.js';

it.each([
  ['terminate', 1],
  ['exit', 0],
  ['throw', 1],
])(
  'ten workers that end by %s with busy channels leave nothing behind',
  { timeout: 60_000 },
  async (way, expected) => {
    const [left, right] = channels();
    const fd = nullFd();
    let seen = 0;
    right.on('message', () => {
      seen += 1;
    });
    const talk = (): void => {
      if (left.closed) return;
      while (left.post('x', [fd]));
      left.once('drain', talk);
    };
    await workerThatEnds(way);
    const before = openDescriptors();
    talk();
    for (let round = 0; round < 10; round += 1) {
      const had = seen;
      expect(await workerThatEnds(way)).toBe(expected);
      expect(seen).toBeGreaterThan(had);
    }
    left.destroy();
    right.destroy();
    await assertSameDescriptors(without(before, 2));
  },
);

/** What was open without the two ends of the pair, which are closed by now. */
function without(before: ReturnType<typeof openDescriptors>, sockets: number): typeof before {
  const now = openDescriptors();
  const gone = [...before].filter(([number, { text }]) => !now.has(number) && text.startsWith('socket:'));
  expect(gone.length).toBe(sockets);
  return new Map([...before].filter(([number]) => !gone.some(([other]) => other === number)));
}

/** A worker with busy channels, started and ended in a way. @returns its exit code */
async function workerThatEnds(way: string): Promise<unknown> {
  // Node would close what `openSync` gave in the worker a second time at its end, when another thread may have the number.
  const worker = new Worker(fixturePath('busy-channels-in-worker'), {
    workerData: way,
    trackUnmanagedFds: false,
  });
  worker.on('error', (error) => expect(error.message).toBe('on purpose'));
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  await Promise.race([new Promise((resolve) => worker.once('message', resolve)), exited]);
  if (way === 'terminate') await worker.terminate();
  return exited;
}
