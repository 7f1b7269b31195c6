import { FdpassError, fromNative } from '../errors.js';
import { type Fd, ownNumber } from '../fd.js';

/** The descriptors of a message of the application, or why there are none. */
export function arrivedParts(fds: Int32Array | Error | undefined): {
  readonly fds: Fd[];
  readonly error: [error?: FdpassError];
} {
  if (fds instanceof Int32Array) return { fds: [...fds].map((fd) => ownNumber(fd)), error: [] };
  const error = fromNative(fds);
  return { fds: [], error: error instanceof FdpassError ? [error] : [] };
}
