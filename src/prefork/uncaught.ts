import { fromNative } from '../errors.js';

/** What a function of the user throws is an uncaught error, as anywhere else; what comes after that call is done first. */
export function throwLater(error: unknown): void {
  process.nextTick(() => {
    throw fromNative(error);
  });
}
