import type { ArrivedMessage } from './channel/arrived-message.js';
import { Channel, parkChannel } from './channel.js';
import { calling, refusal, shown } from './errors.js';
import { Fate, Fd, forgetNumber, needNumber } from './fd.js';
import { native } from './native.js';
import {
  type ChannelToken,
  CLAIM_WITHIN,
  type FdToken,
  type MessageToken,
  type ThreadToken,
} from './thread-token.js';

/**
 * Moves an `Fd` or a live channel out of this thread. The token goes to another thread by `postMessage` (or a
 * `workerData`) and is claimed there, once, with `Fd.fromThread()` or `Channel.fromThread()`.
 *
 * A channel moves with everything it has: what is queued, what arrived and was not handed out, and its place in the
 * protocol. Nobody may listen to it, iterate over it or wait for it.
 *
 * @throws {FdpassError} `ERR_FDPASS_BUSY` — the channel is in use
 * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED`, `ERR_FDPASS_CLOSED` — closed before
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — neither an `Fd` nor a channel
 * @example
 * ```ts
 * import { Channel, channelPair, detachForThread } from 'fdpass';
 *
 * const [left, right] = channelPair();
 * const token = detachForThread(right); // worker.postMessage(token)
 * const moved = Channel.fromThread(token);
 * await left.send('hello');
 * console.log((await moved.receive())?.data.length); // 5
 * await Promise.all([left.close(), moved.close()]);
 * ```
 */
export function detachForThread(what: Fd): FdToken;
/** Takes a live channel out of this thread, with what is queued and what arrived. Throws as for an `Fd`. */
export function detachForThread(what: Channel<unknown>): ChannelToken;
export function detachForThread(what: Fd | Channel<unknown>): ThreadToken {
  if (what instanceof Fd) return detachFd(what);
  if (what instanceof Channel) return detachChannel(what);
  throw refusal('ERR_FDPASS_INVALID_ARGUMENT', `Cannot detach ${shown(what)}: give an Fd or a Channel`);
}

function detachFd(fd: Fd): FdToken {
  const number = needNumber('detach', fd);
  const token = parkNumber(number);
  forgetNumber(fd, Fate.thread);
  return { fdpass: 'fd', token };
}

function detachChannel(channel: Channel<unknown>): ChannelToken {
  const { token, codec, messages } = parkChannel(channel);
  return { fdpass: 'channel', token, codec, messages: messages.map(detachMessage) };
}

function detachMessage(message: ArrivedMessage<unknown>): MessageToken {
  const { data, error, credentials } = message;
  const token: MessageToken = {
    data,
    fds: message.surrender().map(parkNumber),
    ...(credentials !== undefined && { credentials }),
  };
  if (error === undefined) return token;
  const { code, message: text, sent, received } = error;
  return { ...token, error: { code, message: text, sent, received } };
}

function parkNumber(number: number): number {
  return calling(() => native.threadPark(number, CLAIM_WITHIN));
}
