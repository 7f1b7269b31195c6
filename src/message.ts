import type { MessageCredentials } from './credentials.js';
import { type FdpassError, refusal } from './errors.js';
import type { FdList } from './fd-list.js';

/**
 * What a channel receives: a value and the descriptors that came with it.
 *
 * It lives until the next: when the `'message'` listener returns, or the loop asks for the next one, descriptors that
 * were not taken are closed. {@link Message.keep} makes it yours; one that `receive()` returned is yours from the start.
 */
export interface Message<T> extends Disposable {
  /** The value, as the channel's codec reads it. `undefined` where {@link Message.error} left nothing to read. */
  readonly data: T;
  /**
   * The descriptors, in the order in which the sender listed them.
   *
   * @throws {FdpassError} ERR_FDPASS_MESSAGE_RELEASED — when the message was released
   * @throws {FdpassError} what {@link Message.error} is, when the message is damaged
   */
  readonly fds: FdList;
  /**
   * Why the message is damaged, with the counts `sent` and `received` where descriptors are missing. Those that did
   * arrive were closed; the messages after it are not concerned.
   */
  readonly error?: FdpassError | undefined;
  /**
   * The process that sent it (its first byte, to be exact), as the kernel vouches for it; only with the option
   * `credentials` of the channel. On a socket that several processes share it tells them apart, which `channel.peer` does not.
   */
  readonly credentials?: MessageCredentials;
  /**
   * Makes the message yours: it stays open until you close its descriptors or dispose it.
   *
   * @throws {FdpassError} ERR_FDPASS_MESSAGE_RELEASED — when it was released before
   */
  keep(): this;
}

/**
 * The error for the use of a message after its life.
 *
 * @internal
 */
export function released(): FdpassError {
  return refusal(
    'ERR_FDPASS_MESSAGE_RELEASED',
    'Cannot use a released message: its listener returned, or the next message was asked for. Take its descriptors before, or keep() it',
  );
}
