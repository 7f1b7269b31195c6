import { type Codec, type CodecName, type Wire, wireOf } from '../codec.js';
import { calling, FdpassError, refusal } from '../errors.js';
import { native } from '../native.js';
import type { ChannelToken, MessageToken } from '../thread-token.js';
import { ArrivedMessage } from './arrived-message.js';
import { prepareEnvironment } from './registry.js';

/** A live channel on its way to another thread. */
export interface ParkedChannel {
  readonly token: number;
  readonly codec: CodecName | number;
  readonly messages: readonly ArrivedMessage<unknown>[];
}

/** A live channel that arrived in this thread. */
export interface Claimed<T> {
  readonly handle: number;
  readonly wire: Wire<T>;
  readonly messages: readonly ArrivedMessage<T>[];
}

/** Takes a channel and the messages that it brings off the table. */
export function claimChannel<T>(token: ChannelToken, codec: Codec<T> | undefined): Claimed<T> {
  const wire = typeof token.codec === 'string' ? wireOf<T>(token.codec) : wireOf<T>(codec);
  if (typeof token.codec === 'number' && wire.id !== token.codec) {
    const message = `Cannot claim the channel: it was opened with the codec ${token.codec}. Give fromThread() the same codec`;
    throw refusal('ERR_FDPASS_CODEC', message);
  }
  prepareEnvironment();
  const handle = calling(() => native.channelClaim(token.token));
  return { handle, wire, messages: token.messages.map((message) => claimMessage<T>(message)) };
}

function claimMessage<T>({ data, fds, error, credentials }: MessageToken): ArrivedMessage<T> {
  const numbers = Int32Array.from(fds, (token) => calling(() => native.threadClaim(token)));
  const failure = error && new FdpassError(error.code, error.message, error);
  const message = new ArrivedMessage(data as T, failure, numbers, 0, numbers.length);
  if (credentials !== undefined) message.credentials = credentials;
  return message;
}
