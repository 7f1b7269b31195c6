import { wrongOption } from './check-options.js';
import { calling } from './errors.js';
import { type Fd, ownNumber } from './fd.js';
import { native } from './native.js';

/** The kinds of Unix domain sockets, numbered as the binding has them. */
const KINDS = { stream: 1, datagram: 2, seqpacket: 3 } as const;

/** What a pair of sockets keeps together: bytes, or messages without or with a connection (Linux). */
export type SocketType = keyof typeof KINDS;

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
