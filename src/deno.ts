import { calling } from './errors.js';
import { native } from './native.js';

/**
 * What to own instead of `number`, which is open and in the ledger: a copy, where Deno's `node:fs` opened it. Deno
 * remembers such numbers, and closes one that comes again while it remembers the first: another file by then. So it must
 * close its own.
 *
 * @internal
 */
export function takenFromDeno(number: number): number {
  // First: a number whose copy fails stays the caller's, and nobody's here.
  native.letGo(number);
  const copy = calling(() => native.duplicate(number));
  try {
    process.getBuiltinModule('node:fs').closeSync(number);
    return copy;
  } catch {
    // Not Deno's: it has closed nothing.
    native.closeFd(copy);
    native.hold(number);
    return number;
  }
}
