import type { PeerCredentials } from './credentials.js';
import { calling } from './errors.js';
import { type Fd, ownNumber } from './fd.js';
import { native } from './native.js';

/**
 * Who is at the other end of a socket that has no `Fd`. `socket` gives its number for a look, or throws.
 *
 * @internal
 */
export function peerOf(socket: () => number): PeerCredentials {
  const number = socket();
  const { uid, gid, pid } = calling(() => native.peerCredentials(number));
  const source = calling(() => native.isUnnamedPair(number)) ? 'socketpair' : 'connect';
  return { uid, gid, ...(pid !== undefined && { pid }), source, openPidfd: () => openPidfd(socket()) };
}

function openPidfd(number: number): Fd | undefined {
  const pidfd = calling(() => native.peerPidfd(number));
  return pidfd < 0 ? undefined : ownNumber(pidfd);
}
