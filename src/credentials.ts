import { calling, refusal, shown } from './errors.js';
import { Fd, needNumber, needSocketKind, ownNumber } from './fd.js';
import { native } from './native.js';
import { checkNumber } from './node-objects.js';

/** The sender of one message, as the kernel attached it (only when the receiving socket asks for it). */
export interface MessageCredentials {
  /** 0 when it has no number in this pid namespace. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who is at the other end of a connected socket, as the kernel recorded it when the connection was made. */
export interface PeerCredentials {
  /** The effective user. */
  readonly uid: number;
  /** The effective group. */
  readonly gid: number;
  /** The process, where it has a number in this pid namespace. It may be dead, and its number someone else's. */
  readonly pid?: number;
  /** On a socket pair all three name the process that *made* the pair, whoever holds the other end now. */
  readonly source: 'connect' | 'socketpair';
  /**
   * A descriptor of the process, yours to close: unlike a pid it never comes to mean another process. `undefined` where
   * the system has none (macOS, Linux before 6.5) or the process is gone.
   *
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — the socket was closed in the meantime
   * @throws {FdpassError} `EMFILE` — this process is at its descriptor limit
   */
  openPidfd(): Fd | undefined;
}

/**
 * Who is at the other end of `socket`, which it borrows.
 *
 * @throws {FdpassError} `ENOTCONN` — the socket is not connected
 * @throws {FdpassError} `ERR_FDPASS_NOT_UNIX_SOCKET`, `ERR_FDPASS_KIND` — no Unix domain socket
 * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — closed before
 * @throws {FdpassError} `ERR_FDPASS_BAD_FD` — a number that cannot be a descriptor, or is not open
 * @example
 * ```ts
 * import { peerCredentials, socketPair } from 'fdpass';
 *
 * const [left, right] = socketPair();
 * const { uid, source } = peerCredentials(left);
 * console.log(uid === process.geteuid?.(), source); // true socketpair
 * left.close();
 * right.close();
 * ```
 */
export function peerCredentials(socket: Fd | number): PeerCredentials {
  const number = socketNumber('ask for the peer of', socket);
  if (!(socket instanceof Fd)) calling(() => native.socketKind(number));
  const { uid, gid, pid } = calling(() => native.peerCredentials(number));
  const source = calling(() => native.isUnnamedPair(number)) ? 'socketpair' : 'connect';
  return { uid, gid, ...(pid !== undefined && { pid }), source, openPidfd: () => openPidfd(socket) };
}

/**
 * The number of a socket, borrowed; its kind is checked by whoever uses it.
 *
 * @internal
 */
export function socketNumber(operation: string, socket: Fd | number): number {
  if (socket instanceof Fd) {
    needSocketKind(operation, socket);
    return needNumber(operation, socket);
  }
  if (typeof socket === 'number') return checkNumber(operation, socket);
  const message = `Cannot ${operation} ${shown(socket)}: expected an Fd or the number of a socket. Make an Fd of other objects with Fd.duplicate()`;
  throw refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}

function openPidfd(socket: Fd | number): Fd | undefined {
  const number = socketNumber('ask for the peer of', socket);
  const pidfd = calling(() => native.peerPidfd(number));
  return pidfd < 0 ? undefined : ownNumber(pidfd);
}
