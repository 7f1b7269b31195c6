// A panic in the native part is an error of JavaScript, and the process goes on. The portable binary has functions that
// panic on purpose; what is shipped has none.
import { createRequire } from 'node:module';
import { channelPair } from 'fdpass';
import { expect, it } from 'vitest';
import { calling } from '../src/errors.js';
import { ending, next, text } from './helpers/channels.js';
import { startFixture } from './helpers/children.js';
import { codeOf, nullFds } from './helpers/descriptors.js';

const path = process.env.FDPASS_PORTABLE === '1' ? process.env.FDPASS_NATIVE_PATH : undefined;

it.runIf(path).each(['panicRaw', 'panicGenerated'])(
  'a panic in a native function (%s) is ERR_FDPASS_INTERNAL, and everything else goes on',
  async (name) => {
    const native = createRequire(import.meta.url)(path ?? '') as Record<string, () => void>;
    const [left, right] = channelPair().map(ending) as ReturnType<typeof channelPair>;
    left.post('before', nullFds(2));
    expect(codeOf(() => calling(() => native[name]?.()))).toBe('ERR_FDPASS_INTERNAL');
    left.post('after', nullFds(1));
    const seen = [await next(right), await next(right)];
    expect(seen.map(({ data, fds }) => [text(data), fds.length])).toEqual([
      ['before', 2],
      ['after', 1],
    ]);
  },
);

it.runIf(path)('a panic in the event loop is an uncaught exception, and the channel goes on', async () => {
  const child = startFixture('panic-in-wake');
  expect((await child.succeeded()).split('\n')).toEqual(['ERR_FDPASS_INTERNAL', 'still arrives', '']);
});
