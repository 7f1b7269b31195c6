/** Channels of tests: closed when the test ends, whether it passed or not. */
import {
  type BytesChannelOptions,
  type Channel,
  Channel as Channels,
  channelPair,
  type Fd,
  type Message,
  socketPair,
} from 'fdpass';
import { atEndOfTest } from './cleanup.js';

/** Destroys the channel at the end of the test. */
export function ending<C extends Channel<never> | Channel<unknown>>(channel: C): C {
  atEndOfTest(() => {
    (channel as Channel<unknown>).destroy();
  });
  return channel;
}

/** Two connected channels of bytes. */
export function channels(options?: BytesChannelOptions): [Channel, Channel] {
  const [left, right] = channelPair(options);
  return [ending(left), ending(right)];
}

/** A channel, and the raw socket of a peer that need not keep to any rule. */
export function channelAndPeer(options?: BytesChannelOptions): [Channel, Fd] {
  const [here, there] = socketPair();
  atEndOfTest(() => there.close());
  return [ending(Channels.from(here, options)), there];
}

/** Resolves with what an event brings, once. */
export function event(channel: Channel<unknown>, name: 'error'): Promise<Error>;
export function event(channel: Channel<unknown>, name: 'end' | 'close' | 'drain'): Promise<undefined>;
export function event(
  channel: Channel<unknown>,
  name: 'error' | 'end' | 'close' | 'drain',
): Promise<unknown> {
  return new Promise((resolve) => channel.once(name as 'error', resolve));
}

/** The event loop has turned: what was ready has been delivered. */
export async function turn(times = 1): Promise<void> {
  for (let index = 0; index < times; index += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when `condition` holds; looked at once a turn of the loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** The bytes as text. */
export function text(data: Uint8Array | undefined): string {
  return Buffer.from(data ?? []).toString();
}

/** The next message, which must be there; closed at the end of the test. */
export async function next<T>(channel: Channel<T>): Promise<Message<T>> {
  const message = await channel.receive();
  if (message === undefined) throw new Error('The channel has ended');
  atEndOfTest(() => message[Symbol.dispose]());
  return message;
}

/** The code that `promise` rejects with. */
export async function codeOfRejection(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    () => ({ code: 'it resolved' }),
    (error: unknown) => error,
  );
  return (outcome as { code?: unknown }).code;
}
