import { type MessageCredentials, socketNumber } from './credentials.js';
import { calling, checkOptions, FdpassError, fromNative, refusal, shown } from './errors.js';
import { Fd, needSocketKind, ownNumber, peekNumber } from './fd.js';
import { type FdList, ownList } from './fd-list.js';
import { native } from './native.js';
import { SHEET, SHORT_BYTES } from './native-types.js';
import { type Collecting, collect, listed, Move, numbers, type Sendable } from './sendable.js';
import { arrived, buffer, pool, pooled, preparePool, sheet, takeFromPool, usual } from './shared-arrays.js';

/** The kinds of Unix domain sockets, numbered as the binding has them. */
const KINDS = { stream: 1, datagram: 2, seqpacket: 3 } as const;

/** What a pair of sockets keeps together: bytes, or messages without or with a connection (Linux). */
export type SocketType = keyof typeof KINDS;

/** The most descriptors in one message: `SCM_MAX_FD` of Linux, and kept to on macOS. */
const MAX_FDS = 253;
/** A larger buffer than this is made for one call and not kept. */
const KEPT_BYTES = 1024 * 1024;
/** The longest wait: the kernel's `int` of milliseconds. */
const MAX_TIMEOUT = 0x7fff_ffff;

const inspected = Symbol.for('nodejs.util.inspect.custom');
/** For those who ask for more; grows up to {@link KEPT_BYTES}. */
let largeBuffer = buffer;

// Looked up once: the object of the binding is a slow one, and these are called for every message.
const { sendHere, sendMessage: sendFrom, receiveHere, receiveMessage: receiveInto } = native;
const { socket: SOCKET, kind: KIND, count: COUNT, timeout: TIMEOUT, pooled: POOLED } = SHEET;
const { bytes: BYTES, fds: FDS, flags: FLAGS } = SHEET;
/** The bits of `flags` that say what was lost. */
const LOST = 15;

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

/** How a message is received. */
export interface ReceiveMessageOptions {
  /** Room for bytes; a longer datagram is truncated. Default 65536. */
  readonly maxBytes?: number;
  /** The most descriptors wanted, up to 253; more are closed and count as a truncation. Default 253. */
  readonly maxFds?: number;
  /** Milliseconds to wait for a message; 0 never waits. Default: as the descriptor is set (a blocking socket waits). */
  readonly timeout?: number;
  /** A message that lost something on its way: an error (default), or delivered with `truncated` saying what is missing. */
  readonly truncation?: 'error' | 'partial';
}

/** What a message lost on its way. */
export interface Truncation {
  /** The datagram was longer than `maxBytes`, and its rest is gone. */
  readonly data: boolean;
  /** Why descriptors are missing: more than `maxFds`, no free descriptor in this process, or refused by the kernel. */
  readonly descriptors?: 'surplus' | 'limit' | 'refused';
  /** How many descriptors were sent, where the kernel tells (not at the descriptor limit). */
  readonly sent?: number;
  /** How many arrived in this process, those that were closed at once included. */
  readonly received: number;
}

/** A message and the descriptors it owns. Closing it closes those that were not taken. */
export interface ReceivedMessage extends Disposable {
  /** The bytes; on a stream, what was there up to the end of the bytes that carried the descriptors. */
  readonly data: Uint8Array;
  /** The descriptors, close-on-exec, in the order they were sent. Yours from the start. */
  readonly fds: FdList;
  /** The sender, if the socket asks for it (`SO_PASSCRED`). */
  readonly credentials?: MessageCredentials;
  /** A descriptor of the sending process, if the socket asks for it (`SO_PASSPIDFD`). Closed with the message. */
  readonly pidfd?: Fd;
  /** What is missing; only with `truncation: 'partial'`. */
  readonly truncated?: Truncation;
}

class Received implements ReceivedMessage {
  readonly fds: FdList;
  declare credentials?: MessageCredentials;
  declare pidfd?: Fd;
  declare truncated?: Truncation;
  #bytes: Uint8Array;
  /** Where in `#bytes` the message begins, as long as they are the pool. */
  #from: number;
  readonly #length: number;

  constructor(fds: FdList, bytes: Uint8Array, from: number, length: number) {
    this.fds = fds;
    this.#bytes = bytes;
    this.#from = from;
    this.#length = length;
  }

  get data(): Uint8Array {
    if (this.#from < 0) return this.#bytes;
    this.#bytes = this.#bytes.slice(this.#from, this.#from + this.#length);
    this.#from = -1;
    return this.#bytes;
  }

  /** What the console shows: a getter would not be. */
  [inspected](): object {
    return { ...this, data: this.data };
  }

  [Symbol.dispose](): void {
    this.fds.close();
    this.pidfd?.close();
  }
}

/**
 * Makes two connected Unix domain sockets, close-on-exec, both yours. `socketpair(2)`.
 *
 * @param type `'stream'` (default), `'datagram'`, or `'seqpacket'` (Linux)
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no such type
 * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED` — `'seqpacket'` on macOS
 * @throws {FdpassError} `EMFILE`, `ENFILE` — no free descriptor
 * @example
 * ```ts
 * import { socketPair } from 'fdpass';
 *
 * const [left, right] = socketPair('datagram');
 * left.close();
 * right.close();
 * ```
 */
export function socketPair(type: SocketType = 'stream'): [Fd, Fd] {
  const kind = typeof type === 'string' && Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (kind === undefined)
    throw wrongOption('make a socket pair', 'type', type, Object.keys(KINDS).join(', '));
  const [left, right] = calling(() => native.socketPair(kind));
  return [ownNumber(left, kind), ownNumber(right, kind)];
}

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
  const kind = socket instanceof Fd ? needSocketKind('send on', socket) : 0;
  const number = socket instanceof Fd ? peekNumber(socket) : socketNumber('send on', socket);
  const bytes = bytesOf(data);
  if (options !== undefined) return sendWith(number, kind, bytes, fds, options);
  return send(number, kind, bytes, fds === undefined ? 0 : collect(fds, lending), -1);
}

/**
 * Receives one message; its descriptors are close-on-exec and yours. `recvmsg(2)`.
 *
 * On a stream socket: what is there, up to the end of the first bytes that carry descriptors.
 *
 * @returns `undefined` at the end of a stream (or of a seqpacket connection), never on a datagram socket
 * @throws {FdpassError} `ERR_FDPASS_TRUNCATED` — bytes or descriptors were lost; what came was closed, the bytes are in
 *   `error.data`, the counts in `error.sent` and `error.received`
 * @throws {FdpassError} `ERR_FDPASS_NOT_UNIX_SOCKET`, `ERR_FDPASS_KIND` — `socket` is no Unix domain socket
 * @throws {FdpassError} `ERR_FDPASS_BAD_FD`, `ERR_FDPASS_FD_CLOSED` — of `socket`
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — an option is of the wrong type or out of range
 * @throws {FdpassError} `ERR_FDPASS_TIMEOUT` — nothing came within `timeout`
 * @throws {FdpassError} `EAGAIN` — nothing is there, and the socket does not wait
 * @throws {FdpassError} `ECONNRESET` — the peer closed with data unread
 * @example
 * ```ts
 * import { receiveMessage, sendMessage, socketPair } from 'fdpass';
 *
 * const [left, right] = socketPair();
 * sendMessage(left, 'hello', [0]);
 * left.close();
 * for (let message = receiveMessage(right); message !== undefined; message = receiveMessage(right)) {
 *   console.log(message.data.length, message.fds.length); // 5 1
 *   message.fds.close();
 * }
 * right.close();
 * ```
 */
export function receiveMessage(
  socket: Fd | number,
  options?: ReceiveMessageOptions,
): ReceivedMessage | undefined {
  const kind = socket instanceof Fd ? needSocketKind('receive from', socket) : 0;
  const number = socket instanceof Fd ? peekNumber(socket) : socketNumber('receive from', socket);
  if (options !== undefined) return receiveWith(number, kind, options);
  const length = receive(number, kind, buffer, MAX_FDS, -1);
  return length < 0 ? undefined : deliver(buffer, length, 'error');
}

/** For messages: which operation, how many descriptors. */
const lending: Collecting = { operation: 'send', limit: MAX_FDS, unread: false };
const lendingUnread: Collecting = { ...lending, unread: true };

function sendWith(
  socket: number,
  kind: number,
  bytes: Uint8Array,
  fds: Iterable<Sendable> | undefined,
  options: SendMessageOptions,
): number {
  checkOptions('send', options);
  const timeout = timeoutOf('send', options.timeout);
  const how = readAheadOf(options.readAhead) ? lendingUnread : lending;
  const { transfer = false } = options;
  if (transfer === false)
    return send(socket, kind, bytes, fds === undefined ? 0 : collect(fds, how), timeout);

  const items = listed(fds, how);
  const move = Move.plan(items, transfer, how);
  refuseUnacknowledged(move);
  const sent = send(socket, kind, bytes, collect(items, how), timeout);
  move.complete();
  return sent;
}

function send(socket: number, kind: number, bytes: Uint8Array, count: number, timeout: number): number {
  const fds = count === 0 ? usual : numbers;
  ask(socket, kind, count, timeout);
  try {
    if (fds === usual) sendHere(bytes);
    else sendFrom(bytes, fds);
  } catch (thrown) {
    throw explained(thrown, fds, count);
  }
  return sheet[BYTES] ?? 0;
}

/** The kernel does not say which number is not open. */
function explained(thrown: unknown, fds: Int32Array, count: number): unknown {
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

function receiveWith(
  socket: number,
  kind: number,
  options: ReceiveMessageOptions,
): ReceivedMessage | undefined {
  checkOptions('receive', options);
  const timeout = timeoutOf('receive', options.timeout);
  const { maxBytes = buffer.length, maxFds = MAX_FDS, truncation = 'error' } = options;
  checkInteger('receive', 'maxBytes', maxBytes, 1, MAX_TIMEOUT);
  checkInteger('receive', 'maxFds', maxFds, 0, MAX_FDS);
  if (truncation !== 'error' && truncation !== 'partial')
    throw wrongOption('receive', 'truncation', truncation, 'error, partial');
  const into = roomFor(maxBytes);
  const length = receive(socket, kind, into, maxFds, timeout);
  return length < 0 ? undefined : deliver(into, length, truncation);
}

function receive(socket: number, kind: number, into: Uint8Array, maxFds: number, timeout: number): number {
  preparePool();
  ask(socket, kind, maxFds, timeout);
  sheet[POOLED] = pooled;
  try {
    if (into === buffer) receiveHere();
    else receiveInto(into);
  } catch (thrown) {
    throw fromNative(thrown);
  }
  return sheet[BYTES] ?? 0;
}

function ask(socket: number, kind: number, count: number, timeout: number): void {
  sheet[SOCKET] = socket;
  sheet[KIND] = kind;
  sheet[COUNT] = count;
  sheet[TIMEOUT] = timeout;
}

/** Makes a message of what `receive` left in the scratch arrays: from here on the list owns the descriptors. */
function deliver(from: Uint8Array, length: number, truncation: 'error' | 'partial'): ReceivedMessage {
  const fds = ownList(arrived, sheet[FDS] ?? 0);
  const message =
    from === buffer && length <= SHORT_BYTES
      ? new Received(fds, pool, takeFromPool(length), length)
      : new Received(fds, from.slice(0, length), -1, length);
  return sheet[FLAGS] === 0 ? message : complete(message, truncation);
}

/** With what does not usually come. */
function complete(message: Received, truncation: 'error' | 'partial'): ReceivedMessage {
  const pidfd = answer('pidfd');
  if (pidfd >= 0) message.pidfd = ownNumber(pidfd);
  if (answer('hasCredentials') !== 0)
    message.credentials = { pid: answer('pid'), uid: answer('uid') >>> 0, gid: answer('gid') >>> 0 };
  if ((answer('flags') & LOST) === 0) return message;

  const truncated = truncationOf();
  if (truncation === 'error') {
    message[Symbol.dispose]();
    throw truncationError(truncated, message.data);
  }
  message.truncated = truncated;
  return message;
}

function answer(field: keyof typeof SHEET): number {
  return sheet[SHEET[field]] ?? 0;
}

function truncationOf(): Truncation {
  const flags = answer('flags');
  const sent = answer('sent');
  const descriptors = flags & 2 ? 'surplus' : flags & 4 ? 'limit' : flags & 8 ? 'refused' : undefined;
  return {
    data: (flags & 1) !== 0,
    ...(descriptors !== undefined && { descriptors }),
    ...(sent >= 0 && { sent }),
    received: answer('arrived'),
  };
}

function truncationError({ descriptors, sent, received }: Truncation, data: Uint8Array): Error {
  const came = `${received} arrived and were closed`;
  const reasons = {
    surplus: `${sent ?? received} descriptors came, and maxFds is ${sheet[COUNT]}; all were closed. Receive with a larger maxFds`,
    limit: `this process has no free descriptor (${came}). Raise RLIMIT_NOFILE, or close some`,
    refused: `the kernel refused to deliver descriptors (${came}). A security module forbids them`,
  };
  const why = descriptors === undefined ? undefined : reasons[descriptors];
  const message = `Cannot receive the message whole: ${why ?? `it is longer than ${data.length} bytes and its rest is lost. Receive with a larger maxBytes`}`;
  return refusal('ERR_FDPASS_TRUNCATED', message, { data, sent, received });
}

function bytesOf(data: Uint8Array | string): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (typeof data === 'string') return Buffer.from(data);
  const message = `Cannot send ${shown(data)}: expected a Uint8Array or a string. Encode it first`;
  throw refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}

/** The shared buffer while it is large enough; it grows up to a bound. */
function roomFor(bytes: number): Uint8Array {
  if (bytes === buffer.length) return buffer;
  if (bytes <= largeBuffer.length) return largeBuffer.subarray(0, bytes);
  const larger = new Uint8Array(bytes);
  if (bytes <= KEPT_BYTES) largeBuffer = larger;
  return larger;
}

function timeoutOf(operation: string, timeout: number | undefined): number {
  if (timeout === undefined) return -1;
  checkInteger(operation, 'timeout', timeout, 0, MAX_TIMEOUT);
  return timeout;
}

function readAheadOf(readAhead: SendMessageOptions['readAhead']): boolean {
  if (readAhead !== undefined && readAhead !== 'refuse' && readAhead !== 'send')
    throw wrongOption('send', 'readAhead', readAhead, 'refuse, send');
  return readAhead === 'send';
}

function checkInteger(operation: string, name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw wrongOption(operation, name, value, `an integer from ${least} to ${most}`);
}

function wrongOption(operation: string, name: string, value: unknown, allowed: string): Error {
  const message = `Cannot ${operation}: ${name} is ${shown(value)}. Allowed: ${allowed}`;
  return refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}
