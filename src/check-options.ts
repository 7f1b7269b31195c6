import type { AcceptOptions, ChannelOptions } from './channel/config.js';
import { AbortError, refusal, shown } from './errors.js';
import { MAX_INT } from './limits.js';

/** Options are an object or absent; anything else would be taken for none, or fail without a code. */
export function checkOptions(operation: string, options: unknown): void {
  if (typeof options === 'object' && options !== null) return;
  const message = `Cannot ${operation}: options cannot be ${shown(options)}. Give an object, or leave them out`;
  throw refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}

/**
 * The options with a list of kinds that can be gone through again: they are read more than once, and an iterator would
 * have nothing left, so that every descriptor was refused.
 */
export function lasting<Options extends ChannelOptions>(options: Options): Options {
  const accept: AcceptOptions | null | undefined = options?.accept;
  const kinds = accept?.kinds;
  if (typeof kinds !== 'object' || kinds === null || Array.isArray(kinds) || !(Symbol.iterator in kinds))
    return options;
  const own: AcceptOptions = Object.create(accept as AcceptOptions, { kinds: { value: [...kinds] } });
  return Object.create(options, { accept: { value: own } });
}

/** How long a call may wait, as the binding takes it: -1 is as the descriptor is set. */
export function timeoutOf(operation: string, timeout: number | undefined): number {
  if (timeout === undefined) return -1;
  checkInteger(operation, 'timeout', timeout, 0, MAX_INT);
  return timeout;
}

/**
 * Refuses what is no signal, before anything is under way that it could not take back.
 *
 * @throws {AbortError} when it is aborted already
 */
export function checkSignal(operation: string, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  if (typeof (signal as Partial<AbortSignal> | null)?.addEventListener !== 'function')
    throw wrongOption(operation, 'signal', signal, 'an AbortSignal');
  if (signal.aborted) throw new AbortError(signal);
}

/** Refuses what is no integer from `least` to `most`. */
export function checkInteger(
  operation: string,
  name: string,
  value: number,
  least: number,
  most: number,
): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw wrongOption(operation, name, value, `an integer from ${least} to ${most}`);
}

/** The error for an option that is none of the `allowed`. */
export function wrongOption(operation: string, name: string, value: unknown, allowed: string): Error {
  const message = `Cannot ${operation}: ${name} is ${shown(value)}. Allowed: ${allowed}`;
  return refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}
