import type { Socket as DatagramSocket } from 'node:dgram';
import type { Server, Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { toDatagram } from './convert/dgram.js';
import { staysInLedger, toReadStream, toWriteStream } from './convert/fs.js';
import {
  type ServerOptions,
  type SocketOptions,
  serverOptions,
  socketOptions,
  toServer,
  toSocket,
} from './convert/net.js';
import { constructionStack } from './debug.js';
import { takenFromDeno } from './deno.js';
import { calling, FdpassError, fromNative, refusal, shown } from './errors.js';
import { FdGuard } from './guards.js';
import { describeNumber, type FdInfo, type FdStats } from './inspect.js';
import { native } from './native.js';
import { checkNumber, numberOf } from './node-objects.js';
import { checkOwn, OWN } from './own-constructor.js';
import { runtime } from './runtime.js';
import { type Guard, SafetyNet } from './safety-net.js';
import type { Sendable } from './sendable.js';
import { checkedToken, type ThreadToken } from './thread-token.js';

/** How an `Fd` lost its descriptor, as a message tells it. */
export const Fate = {
  closed: 'it was closed',
  released: 'release() gave its number away',
  moved: 'it was moved by a send',
  converted: 'it was moved into a Node object',
  message: 'it was closed with its message',
  thread: 'it was moved to another thread',
  channel: 'a channel or listener owns it now',
} as const;

/** One of the sentences of {@link Fate}. */
export type FateText = (typeof Fate)[keyof typeof Fate];

// What the other modules of the package may do with an `Fd` and its users may not; set where private fields are visible.
let own: (number: number, socketKind: number) => Fd;
let peek: (fd: Fd) => number;
let need: (operation: string, fd: Fd) => number;
let needSocket: (operation: string, fd: Fd) => number;
let end: (fd: Fd, fate: FateText) => void;
let guardOf: (fd: Fd) => Guard;

// Looked up once: the object of the binding is a slow one.
const { closeFd } = native;

/**
 * Owns one open descriptor: whoever has the `Fd` closes it, once.
 *
 * `close()` may be called any number of times and never throws; a closed `Fd` never touches the number again. An `Fd` that
 * is forgotten is closed when it is garbage-collected, with a warning.
 *
 * @example
 * ```ts
 * import { openSync } from 'node:fs';
 * import { Fd } from 'fdpass';
 *
 * const fd = Fd.adopt(openSync('/dev/null', 'r'));
 * console.log(fd.describe().kind); // device
 * fd.close();
 * console.log(fd.closed); // true
 * ```
 */
export class Fd implements Disposable {
  #number: number;
  #fate: FateText = Fate.closed;
  #exposed = false;
  #socketKind = 0;
  #guard: FdGuard | undefined;
  #stack: string | undefined;

  private constructor(key: typeof OWN, number: number) {
    checkOwn(key, 'an Fd', 'Fd.adopt(number)');
    this.#number = number;
    this.#stack = constructionStack();
    safetyNet.add(this);
  }

  static {
    own = (number, socketKind) => {
      const fd = new Fd(OWN, number);
      fd.#socketKind = socketKind;
      return fd;
    };
    peek = (fd) => fd.#number;
    need = (operation, fd) => fd.#need(operation);
    needSocket = (operation, fd) => {
      const number = fd.#need(operation);
      if (fd.#socketKind === 0) fd.#socketKind = calling(() => native.socketKind(number));
      return fd.#socketKind;
    };
    end = (fd, fate) => fd.#end(fate);
    guardOf = (fd) => {
      fd.#guard = new FdGuard(fd.#number, fd.#exposed, fd.#stack);
      return fd.#guard;
    };
  }

  /**
   * Takes ownership of an open descriptor: from now on only the `Fd` closes it. Its flags stay as they are. In Deno, a
   * number of `node:fs` is closed at once, and the `Fd` owns a copy with another number: Deno would close it again.
   *
   * @param number of a descriptor that nothing else closes
   * @throws {FdpassError} `ERR_FDPASS_BAD_FD` — no integer from 0 to 2147483647, not open, or owned by an `Fd` of this
   *   thread already
   * @example
   * ```ts
   * import { openSync } from 'node:fs';
   * import { Fd } from 'fdpass';
   *
   * const fd = Fd.adopt(openSync('/dev/null', 'r'));
   * fd.close();
   * ```
   */
  static adopt(number: number): Fd {
    if (typeof number !== 'number') throw wrongArgument('adopt', 'a number', number);
    checkNumber('adopt', number);
    if (!native.isOpen(number)) {
      const message = `Cannot adopt ${number}: it is not open. Adopt a descriptor before it is closed`;
      throw refusal('ERR_FDPASS_BAD_FD', message);
    }
    if (!native.hold(number)) {
      const message = `Cannot adopt ${number}: an Fd owns it already, and it would be closed twice. Use that Fd, or Fd.duplicate(${number})`;
      throw refusal('ERR_FDPASS_BAD_FD', message);
    }
    return own(runtime === 'deno' ? takenFromDeno(number) : number, 0);
  }

  /**
   * Makes an own, close-on-exec copy of anything that has a descriptor; borrows `source`. The copy shares offset and
   * flags with the original.
   *
   * @throws {FdpassError} `ERR_FDPASS_BAD_FD` — a number that cannot be a descriptor
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — `source` has no descriptor any more
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE` — `source` has none, or one that is of no use without it
   * @throws {FdpassError} `EBADF` — the number is not open
   * @throws {FdpassError} `EMFILE` — this process is at its descriptor limit
   * @example
   * ```ts
   * import { Fd } from 'fdpass';
   *
   * const copy = Fd.duplicate(process.stdin);
   * console.log(copy.closed); // false
   * copy.close();
   * ```
   */
  static duplicate(source: Sendable): Fd {
    if (source instanceof Fd) return source.duplicate();
    const number = numberOf('duplicate', source, 'lend', false);
    return own(copied(number), 0);
  }

  /**
   * Claims a descriptor that another thread of this process gave away with `detachForThread()`.
   *
   * @throws {FdpassError} `ERR_FDPASS_TOKEN` — claimed before, or no token of an `Fd`
   */
  static fromThread(token: ThreadToken): Fd {
    const { token: number } = checkedToken(token, 'fd');
    return own(
      calling(() => native.threadClaim(number)),
      0,
    );
  }

  /**
   * The number, still owned by the `Fd`: for a look, or a call that takes a number and does not close it.
   *
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — there is none any more
   */
  get fd(): number {
    const number = this.#need('read the number of a descriptor');
    this.#exposed = true;
    if (this.#guard !== undefined) this.#guard.exposed = true;
    return number;
  }

  /** Whether the descriptor is gone: closed, released, moved or converted. */
  get closed(): boolean {
    return this.#number < 0;
  }

  /**
   * Makes an own, close-on-exec copy; the original stays as it is. Both share offset and flags.
   *
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @throws {FdpassError} `EMFILE` — this process is at its descriptor limit
   */
  duplicate(): Fd {
    return own(copied(this.#need('duplicate')), this.#socketKind);
  }

  /**
   * Gives the number away: from now on the caller closes it, and the `Fd` counts as closed.
   *
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   */
  release(): number {
    const number = this.#need('release');
    native.letGo(number);
    this.#end(Fate.released);
    return number;
  }

  /** Closes the descriptor. Idempotent; never throws. */
  close(): void {
    const number = this.#number;
    if (number < 0) return;
    this.#end(Fate.closed);
    closeFd(number);
  }

  /** Closes the descriptor at the end of a `using` block; the same as {@link Fd.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Reads from the descriptor's position into `into`, as `read(2)`; works where `node:fs` refuses the number (Deno).
   *
   * @returns how many bytes were read; 0 is the end
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @throws {FdpassError} `EAGAIN` — non-blocking, and nothing is there
   * @throws {FdpassError} `EBADF` — not opened for reading
   */
  readSync(into: Uint8Array): number {
    const number = this.#need('read');
    if (!(into instanceof Uint8Array)) throw wrongArgument('read', 'a Uint8Array', into);
    return explaining(`read from ${number}`, OPENED_SO, () => native.readFd(number, into));
  }

  /**
   * Writes at the descriptor's position, as `write(2)`; works where `node:fs` refuses the number (Deno).
   *
   * @returns how many bytes were taken: possibly fewer than given
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @throws {FdpassError} `EAGAIN` — non-blocking, and there is no room
   * @throws {FdpassError} `EBADF` — not opened for writing
   */
  writeSync(data: Uint8Array | string): number {
    const number = this.#need('write');
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (!(bytes instanceof Uint8Array)) throw wrongArgument('write', 'a Uint8Array or a string', data);
    return explaining(`write to ${number}`, OPENED_SO, () => native.writeFd(number, bytes));
  }

  /**
   * `fstat(2)`: size, mode, times; works where `node:fs` refuses the number (Deno).
   *
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   */
  statSync(): FdStats {
    const number = this.#need('stat');
    return explaining(`stat ${number}`, CLOSED_ELSEWHERE, () => native.stat(number));
  }

  /**
   * What the descriptor is: its kind, and what only that kind has. Reads nothing from it and changes nothing.
   *
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @example
   * ```ts
   * import { Fd } from 'fdpass';
   *
   * const input = Fd.duplicate(0);
   * const info = input.describe();
   * if (info.kind === 'tcp') console.log(info.listening, info.local?.port);
   * input.close();
   * ```
   */
  describe(): FdInfo {
    const number = this.#need('describe');
    return explaining(`describe ${number}`, CLOSED_ELSEWHERE, () => describeNumber(number));
  }

  /**
   * Moves a connected TCP or Unix stream socket, or a pipe, into a `net.Socket`. Sets `O_NONBLOCK`, which every holder of
   * a copy of the descriptor sees, in other processes too.
   *
   * @throws {FdpassError} `ERR_FDPASS_KIND` — something else; it stays in this `Fd`
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — `options` is no object
   * @throws {FdpassError} `EEXIST` — this runtime watches the number already
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED_RUNTIME` — see `docs/convert.md`
   */
  toSocket(options: SocketOptions = {}): Socket {
    const plain = socketOptions(options);
    return this.#convert('toSocket', (number, info) => toSocket(number, info, plain));
  }

  /**
   * Moves a listening TCP or Unix socket into a `net.Server`, which accepts at once; `options.server` names an own one
   * (of `node:http`, for one). Sets `O_NONBLOCK`, which every holder of a copy sees.
   *
   * Closing the server never removes a socket's path.
   *
   * @throws {FdpassError} `ERR_FDPASS_KIND` — something else; it stays in this `Fd`
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — `options` is no object, or `options.server` no server
   * @throws {FdpassError} `ERR_FDPASS_BUSY` — `options.server` listens already
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED_RUNTIME` — see `docs/convert.md`
   */
  toServer<S extends Server = Server>(options: ServerOptions<S> = {}): S {
    const plain = serverOptions(options);
    return this.#convert('toServer', (number, info, check) => toServer(number, info, plain, check));
  }

  /**
   * Moves a UDP socket into a `dgram.Socket`, which receives at once. Sets `O_NONBLOCK`, which every holder of a copy
   * sees.
   *
   * @throws {FdpassError} `ERR_FDPASS_KIND` — something else, or a connected one; it stays in this `Fd`
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED_RUNTIME` — see `docs/convert.md`
   */
  toDatagram(): DatagramSocket {
    return this.#convert('toDatagram', toDatagram);
  }

  /**
   * Moves a file, device, pipe, terminal or stream socket that can be read into a readable stream.
   *
   * @throws {FdpassError} `ERR_FDPASS_KIND` — something else, or not opened for reading; it stays in this `Fd`
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED_RUNTIME` — see `docs/convert.md`
   */
  toReadStream(): Readable {
    return this.#convert('toReadStream', toReadStream);
  }

  /**
   * Moves a file, device, pipe, terminal or stream socket that can be written into a writable stream.
   *
   * @throws {FdpassError} `ERR_FDPASS_KIND` — something else, or not opened for writing; it stays in this `Fd`
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED_RUNTIME` — see `docs/convert.md`
   */
  toWriteStream(): Writable {
    return this.#convert('toWriteStream', toWriteStream);
  }

  /**
   * Nothing is moved when `make` throws. Code of the user may have closed this `Fd` while `make` ran some: `check` throws
   * then, and the number may be another file's.
   */
  #convert<T>(name: string, make: (number: number, info: FdInfo, check: () => void) => T): T {
    const operation = `convert with ${name}()`;
    const number = this.#need(operation);
    const info = explaining(`convert ${number} with ${name}()`, CLOSED_ELSEWHERE, () =>
      describeNumber(number),
    );
    const result = make(number, info, () => this.#need(operation));
    if (!staysInLedger(name, info)) native.letGo(number);
    this.#end(Fate.converted);
    return result;
  }

  #need(operation: string): number {
    if (this.#number >= 0) return this.#number;
    const made = this.#stack === undefined ? '' : `. It was made\n${this.#stack}`;
    const message = `Cannot ${operation}: the Fd has no descriptor any more, ${this.#fate}. Keep a duplicate() for later use${made}`;
    throw refusal('ERR_FDPASS_FD_CLOSED', message);
  }

  #end(fate: FateText): void {
    this.#number = -1;
    this.#fate = fate;
    if (this.#guard !== undefined) this.#guard.number = -1;
  }
}

const safetyNet = new SafetyNet<Fd>(
  (fd) => !fd.closed,
  (fd) => guardOf(fd),
);

/**
 * An `Fd` for a number that is in the ledger. `socketKind` as `native.socketKind()` has it, 0 when it is not known.
 *
 * @internal
 */
export function ownNumber(number: number, socketKind = 0): Fd {
  return own(number, socketKind);
}

/**
 * The number without handing it out, or -1.
 *
 * @internal
 */
export function peekNumber(fd: Fd): number {
  return peek(fd);
}

/**
 * The number without handing it out; throws when there is none.
 *
 * @internal
 */
export function needNumber(operation: string, fd: Fd): number {
  return need(operation, fd);
}

/**
 * The kind of Unix socket behind an `Fd` (1 stream, 2 datagram, 3 seqpacket), asked of the kernel once; throws for
 * anything else.
 *
 * @internal
 */
export function needSocketKind(operation: string, fd: Fd): number {
  return needSocket(operation, fd);
}

/**
 * Makes an `Fd` forget its number, which someone else owns from now on (the ledger is the caller's concern).
 *
 * @internal
 */
export function forgetNumber(fd: Fd, fate: FateText): number {
  const number = peek(fd);
  end(fd, fate);
  return number;
}

/**
 * Closes an `Fd` for another reason than its owner's `close()`, which its errors will tell.
 *
 * @internal
 */
export function closeBecause(fd: Fd, fate: FateText): void {
  const number = forgetNumber(fd, fate);
  if (number >= 0) native.closeFd(number);
}

const CLOSED_ELSEWHERE = 'it is not open, something else has closed it. Close an Fd with close() only';
const OPENED_SO = 'it was not opened for that. describe() tells its access';

function copied(number: number): number {
  const why = 'it is not open. Duplicate a descriptor before it is closed';
  return explaining(`duplicate ${number}`, why, () => native.duplicate(number));
}

/** As {@link calling}: the kernel does not say which descriptor is a bad one, and why. */
function explaining<T>(operation: string, why: string, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    const error = fromNative(thrown);
    if (!(error instanceof FdpassError) || error.code !== 'EBADF') throw error;
    const { errno, syscall } = error;
    throw new FdpassError('EBADF', `Cannot ${operation}: ${why}`, { errno, syscall });
  }
}

function wrongArgument(operation: string, expected: string, value: unknown): Error {
  const message = `Cannot ${operation}: expected ${expected}, got ${shown(value)}`;
  return refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}
