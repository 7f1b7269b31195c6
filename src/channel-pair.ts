import { settingsOf } from './channel/open.js';
import type { AnyChannelOptions, BytesChannelOptions, ValueChannelOptions } from './channel/types.js';
import { type Channel, channelWith } from './channel.js';
import { calling } from './errors.js';
import { type Fd, ownNumber } from './fd.js';
import { native } from './native.js';

const STREAM = 1;

/**
 * Two connected channels, in this process or, one of them sent, in two.
 *
 * @example
 * ```ts
 * import { channelPair } from 'fdpass';
 *
 * const [left, right] = channelPair<{ hello: string }>({ codec: 'json' });
 * await left.send({ hello: 'world' });
 * const message = await right.receive();
 * console.log(message?.data.hello); // world
 * await Promise.all([left.close(), right.close()]);
 * ```
 */
export function channelPair<T = unknown>(options: ValueChannelOptions<T>): [Channel<T>, Channel<T>];
/** Both ends of a channel of bytes in this process: text is sent as UTF-8, and arrives as a `Uint8Array`. */
export function channelPair(options?: BytesChannelOptions): [Channel, Channel];
export function channelPair<T>(options: AnyChannelOptions<T> = {}): [Channel<T>, Channel<T>] {
  const settings = settingsOf(options, true);
  const [left, right] = calling(() => native.socketPair(STREAM)).map((number) => ownNumber(number)) as [
    Fd,
    Fd,
  ];
  try {
    return [channelWith(left, settings), channelWith(right, settings)];
  } finally {
    // Without effect on those that moved.
    left.close();
    right.close();
  }
}
