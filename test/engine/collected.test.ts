// What is closed is not kept alive by the event loop.
import { channelPair, listen } from 'fdpass';
import { expect, it } from 'vitest';
import { turn } from '../helpers/channels.js';
import { temporarySocketPath } from '../helpers/sockets.js';

/** Runs the collector until the object is gone, a bounded number of times. */
async function isCollected(reference: WeakRef<object>): Promise<boolean> {
  for (let round = 0; round < 20 && reference.deref() !== undefined; round += 1) {
    await turn(2);
    globalThis.gc?.();
  }
  return reference.deref() === undefined;
}

it('regression: a listener that waited for connections and was closed can be collected', async () => {
  const reference = await (async () => {
    const listener = await listen(temporarySocketPath());
    const waiting = listener[Symbol.asyncIterator]().next();
    await listener.close();
    expect((await waiting).done).toBe(true);
    return new WeakRef(listener);
  })();
  expect(await isCollected(reference)).toBe(true);
});

it('a channel that was closed can be collected', async () => {
  const reference = await (async () => {
    const [left, right] = channelPair();
    right.on('message', () => undefined);
    await left.send('x', [], { ack: true });
    await Promise.all([left.close(), right.close()]);
    return new WeakRef(right);
  })();
  expect(await isCollected(reference)).toBe(true);
});
