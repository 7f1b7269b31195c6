import type { Codec, CodecName } from '../codec.js';
import type { FdpassError } from '../errors.js';
import type { Message } from '../message.js';
import type { ChannelOptions } from './config.js';

/** What a channel emits. */
export interface ChannelEvents<T> {
  /** A message; its descriptors are closed when the listener returns, unless they were taken or the message is kept. */
  message: [message: Message<T>];
  /** The queue fell below the high-water mark. */
  drain: [];
  /** The peer said goodbye, and everything before it was handed out. The channel closes itself. */
  end: [];
  /** The channel ended by an error. Emitted when somebody listens to errors or messages and no promise was told. */
  error: [error: Error];
  /** The channel is closed; the last event. */
  close: [];
  /** The kernel has no room for descriptors now (`ETOOMANYREFS`, on macOS `EMSGSIZE`): they wait here. */
  pressure: [code: string];
  /** A message of `post()` will not arrive, and the channel goes on (the peer accepts less than it carried). */
  undelivered: [error: FdpassError];
}

/** Options of a channel of bytes. */
export interface BytesChannelOptions extends ChannelOptions {
  readonly codec?: 'bytes';
}

/** Options of a channel of values. */
export interface ValueChannelOptions<T> extends ChannelOptions {
  readonly codec: 'json' | 'v8' | Codec<T>;
}

/** @internal */
export interface AnyChannelOptions<T> extends ChannelOptions {
  readonly codec?: CodecName | Codec<T>;
}

/** What can be sent on a channel of `T`: text goes as UTF-8 where bytes are expected. */
export type Outgoing<T> = T extends Uint8Array ? T | string : T;
