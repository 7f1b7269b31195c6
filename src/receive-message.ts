import { checkInteger, checkOptions, timeoutOf, wrongOption } from './check-options.js';
import { type MessageCredentials, socketNumber } from './credentials.js';
import { fromNative, refusal } from './errors.js';
import { Fd, needSocketKind, ownNumber, peekNumber } from './fd.js';
import { type FdList, ownList } from './fd-list.js';
import { MAX_FDS, MAX_INT } from './limits.js';
import { native } from './native.js';
import { SHEET, SHORT_BYTES } from './native-types.js';
import { arrived, ask, buffer, pool, pooled, preparePool, sheet, takeFromPool } from './shared-arrays.js';

/** A larger buffer than this is made for one call and not kept. */
const KEPT_BYTES = 1024 * 1024;

const inspected = Symbol.for('nodejs.util.inspect.custom');
/** For those who ask for more; grows up to {@link KEPT_BYTES}. */
let largeBuffer = buffer;

// Looked up once: the object of the binding is a slow one, and these are called for every message.
const { receiveHere, receiveMessage: receiveInto } = native;
const { pooled: POOLED, bytes: BYTES, fds: FDS, flags: FLAGS, count: COUNT } = SHEET;
/** The bits of `flags` that say what was lost. */
const LOST = 15;

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
  if (options !== undefined) return receiveWith(socket, options);
  const length = receive(socket, buffer, MAX_FDS, -1);
  return length < 0 ? undefined : deliver(buffer, length, 'error');
}

function receiveWith(socket: Fd | number, options: ReceiveMessageOptions): ReceivedMessage | undefined {
  checkOptions('receive', options);
  const timeout = timeoutOf('receive', options.timeout);
  const { maxBytes = buffer.length, maxFds = MAX_FDS, truncation = 'error' } = options;
  checkInteger('receive', 'maxBytes', maxBytes, 1, MAX_INT);
  checkInteger('receive', 'maxFds', maxFds, 0, MAX_FDS);
  if (truncation !== 'error' && truncation !== 'partial')
    throw wrongOption('receive', 'truncation', truncation, 'error, partial');
  const into = roomFor(maxBytes);
  const length = receive(socket, into, maxFds, timeout);
  return length < 0 ? undefined : deliver(into, length, truncation);
}

function receive(socket: Fd | number, into: Uint8Array, maxFds: number, timeout: number): number {
  // Last: an option that is a getter of the user may have closed it, and its number be another one's.
  const kind = socket instanceof Fd ? needSocketKind('receive from this socket', socket) : 0;
  const number = socket instanceof Fd ? peekNumber(socket) : socketNumber('receive from', socket);
  preparePool();
  ask(number, kind, maxFds, timeout);
  sheet[POOLED] = pooled;
  try {
    if (into === buffer) receiveHere();
    else receiveInto(into);
  } catch (thrown) {
    throw fromNative(thrown);
  }
  return sheet[BYTES] ?? 0;
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

/** The shared buffer while it is large enough; it grows up to a bound. */
function roomFor(bytes: number): Uint8Array {
  if (bytes === buffer.length) return buffer;
  if (bytes <= largeBuffer.length) return largeBuffer.subarray(0, bytes);
  const larger = new Uint8Array(bytes);
  if (bytes <= KEPT_BYTES) largeBuffer = larger;
  return larger;
}
