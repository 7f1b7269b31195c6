import { refusal, shown } from '../errors.js';
import { MOST_WORKERS } from './options.js';

/** How many bytes may go with a connection that is passed on: the manager takes no more (`MAX_PREFIX`). */
export const MOST_PASSED: number = 256 * 1024;
/** What goes with a connection of which nothing was read. */
export const NOTHING: Uint8Array = new Uint8Array(0);

/** Whether a worker may have this index. */
export function isIndex(index: number): boolean {
  return Number.isInteger(index) && index >= 0 && index < MOST_WORKERS;
}

/** The manager would close a connection that it cannot pass on. */
export function checkPassing(index: number | undefined, prefix: Uint8Array): void {
  if (index !== undefined && !isIndex(index))
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot pass the connection on: ${shown(index)} is no index of a worker`,
    );
  if (!(prefix instanceof Uint8Array))
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot pass the connection on with ${shown(prefix)}: give the bytes as a Uint8Array`,
    );
  if (prefix.length > MOST_PASSED)
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot pass the connection on with ${prefix.length} bytes: the limit is ${MOST_PASSED}`,
    );
}
