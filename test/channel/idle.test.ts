import { channelPair } from 'fdpass';
import { expect, it } from 'vitest';
import { text } from '../helpers/channels.js';

const PAIRS = 500;

it('a thousand idle channels cost no timer and less than 4 KB each', async () => {
  const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined);
  const memory = (): number => {
    collect();
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    return heapUsed + external + arrayBuffers;
  };
  // The first makes what all share.
  for (const channel of channelPair()) channel.destroy();
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = memory();
  const pairs = Array.from({ length: PAIRS }, () => channelPair());
  const each = (memory() - before) / (2 * PAIRS);
  expect(each).toBeLessThan(4_096);
  expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length).toBe(timers);
  const [first] = pairs;
  first?.[0].post('they work');
  expect(text((await first?.[1].receive())?.data)).toBe('they work');
  for (const channel of pairs.flat()) channel.destroy();
});
