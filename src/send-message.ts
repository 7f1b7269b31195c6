import { checkOptions, timeoutOf, wrongOption } from './check-options.js';
import { socketNumber } from './credentials.js';
import { FdpassError, fromNative, refusal, shown } from './errors.js';
import { Fd, needSocketKind, peekNumber } from './fd.js';
import { MAX_FDS } from './limits.js';
import { native } from './native.js';
import { SHEET } from './native-types.js';
import { type Collecting, collect, listed, Move, numbers, type Sendable } from './sendable.js';
import { ask, sheet, usual } from './shared-arrays.js';

// Looked up once: the object of the binding is a slow one, and these are called for every message.
const { sendHere, sendMessage: sendFrom } = native;
const { bytes: BYTES } = SHEET;

/** How a message is sent. */
export interface SendMessageOptions {
  /**
   * `true` moves every descriptor, a list moves those: their `Fd`s are closed here once the kernel has taken the message.
   * Nothing moves when the call throws. Default: all are borrowed.
   */
  readonly transfer?: boolean | Iterable<Sendable>;
  /** Milliseconds to wait for room; 0 never waits. Default: as the descriptor is set (a blocking socket waits). */
  readonly timeout?: number;
  /** `'send'`: sends a `net.Socket` although Node has read bytes from it; those stay in the socket here. */
  readonly readAhead?: 'refuse' | 'send';
}

/** For messages: which operation, how many descriptors. */
const lending: Collecting = { operation: 'send', limit: MAX_FDS, unread: false };
const lendingUnread: Collecting = { ...lending, unread: true };

/**
 * Sends one message: `data` with copies of `fds`. Borrows them: the caller still owns every descriptor and may close it at
 * once. `transfer` moves them instead. `sendmsg(2)`.
 *
 * On a stream socket fewer bytes may be taken than were given: **the descriptors have gone with the first**, so send the
 * rest without them.
 *
 * @param fds at most 253; an `FdList` is looked at, not taken
 * @returns how many bytes the kernel took
 * @throws {FdpassError} `ERR_FDPASS_TOO_MANY_FDS` — more than 253
 * @throws {FdpassError} `ERR_FDPASS_EMPTY_PAYLOAD` — descriptors with zero bytes on a stream
 * @throws {FdpassError} `ERR_FDPASS_NOT_UNIX_SOCKET`, `ERR_FDPASS_KIND` — `socket` is no Unix domain socket
 * @throws {FdpassError} `ERR_FDPASS_BAD_FD`, `ERR_FDPASS_FD_CLOSED` — of `socket` or one of `fds`
 * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE` — of `fds`, with the reason
 * @throws {FdpassError} `ERR_FDPASS_INVALID_TRANSFER`, `ERR_FDPASS_NEEDS_ACK` — of `transfer`
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — another argument is of the wrong type or out of range
 * @throws {FdpassError} `ERR_FDPASS_TIMEOUT` — no room within `timeout`
 * @throws {FdpassError} `EAGAIN` — no room, and the socket does not wait
 * @throws {FdpassError} `EPIPE`, `ECONNRESET` — the peer is gone
 * @throws {FdpassError} `ETOOMANYREFS` — too many descriptors of this user are in flight: let the receiver take some
 * @throws {FdpassError} `EMSGSIZE` — a datagram too long
 * @throws {FdpassError} `EBADF` — a number is not open
 * @example
 * ```ts
 * import { openSync } from 'node:fs';
 * import { Fd, receiveMessage, sendMessage, socketPair } from 'fdpass';
 *
 * const [left, right] = socketPair();
 * const file = Fd.adopt(openSync('/dev/null', 'r'));
 * sendMessage(left, 'here', [file], { transfer: true });
 * console.log(file.closed); // true: it has moved
 * receiveMessage(right)?.fds.close();
 * left.close();
 * right.close();
 * ```
 */
export function sendMessage(
  socket: Fd | number,
  data: Uint8Array | string,
  fds?: Iterable<Sendable>,
  options?: SendMessageOptions,
): number {
  const bytes = bytesOf(data);
  if (options !== undefined) return sendWith(socket, bytes, fds, options);
  return send(socket, bytes, fds === undefined ? 0 : collect(fds, lending), -1);
}

function sendWith(
  socket: Fd | number,
  bytes: Uint8Array,
  fds: Iterable<Sendable> | undefined,
  options: SendMessageOptions,
): number {
  checkOptions('send', options);
  const timeout = timeoutOf('send', options.timeout);
  const how = readAheadOf(options.readAhead) ? lendingUnread : lending;
  const { transfer = false } = options;
  if (transfer === false) return send(socket, bytes, fds === undefined ? 0 : collect(fds, how), timeout);

  const items = listed(fds, how);
  const move = Move.plan(items, transfer, how);
  refuseUnacknowledged(move);
  const sent = send(socket, bytes, collect(items, how), timeout);
  move.complete();
  return sent;
}

function send(socket: Fd | number, bytes: Uint8Array, count: number, timeout: number): number {
  // Last: code of the user that was run for `fds` may have closed it, and its number be another one's.
  const kind = socket instanceof Fd ? needSocketKind('send on this socket', socket) : 0;
  const number = socket instanceof Fd ? peekNumber(socket) : socketNumber('send on', socket);
  const fds = count === 0 ? usual : numbers;
  ask(number, kind, count, timeout);
  try {
    if (fds === usual) sendHere(bytes);
    else sendFrom(bytes, fds);
  } catch (thrown) {
    throw explained(thrown, fds, count);
  }
  return sheet[BYTES] ?? 0;
}

/**
 * What a send of `fds` threw: the kernel does not say which number is not open.
 *
 * @internal
 */
export function explained(thrown: unknown, fds: Int32Array, count: number): unknown {
  const error = fromNative(thrown);
  if (!(error instanceof FdpassError) || error.code !== 'EBADF') return error;
  const bad = fds.subarray(0, count).find((number) => !native.isOpen(number));
  if (bad === undefined) return error;
  const message = `Cannot send the descriptor ${bad}: it is not open. Send it before it is closed`;
  return new FdpassError('EBADF', message, { errno: error.errno, syscall: error.syscall });
}

/** macOS drops what is in flight of a socket whose last other copy is closed; a raw send cannot wait for the receiver. */
function refuseUnacknowledged(move: Move): void {
  if (!native.holdsSockets()) return;
  const isSocket = (number: number): boolean => /^(tcp|udp|unix)$/.test(native.describe(number).kind);
  const socket = move.numbers.find(isSocket);
  if (socket === undefined) return;
  const message = `Cannot move the socket ${socket} by sendMessage() on macOS: it must stay open here until it has arrived. Use a channel, or lend it and close it when the receiver has answered`;
  throw refusal('ERR_FDPASS_NEEDS_ACK', message);
}

/**
 * What is sent for `data`.
 *
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — neither bytes nor a string
 * @internal
 */
export function bytesOf(data: Uint8Array | string): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (typeof data === 'string') return Buffer.from(data);
  const message = `Cannot send ${shown(data)}: expected a Uint8Array or a string. Encode it first`;
  throw refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}

function readAheadOf(readAhead: SendMessageOptions['readAhead']): boolean {
  if (readAhead !== undefined && readAhead !== 'refuse' && readAhead !== 'send')
    throw wrongOption('send', 'readAhead', readAhead, 'refuse, send');
  return readAhead === 'send';
}
