import type { ERROR_CODES } from './error-codes.js';

/** A code of the library's own. Next to these, `code` may be the name of an errno (`'EAGAIN'`). */
export type FdpassErrorCode = keyof typeof ERROR_CODES;

/** What an error knows besides its code and message. */
export interface FdpassErrorDetails {
  /** The error that caused this one. */
  readonly cause?: unknown;
  /** The errno, negative as in Node's own system errors. */
  readonly errno?: number | undefined;
  /** The system call that was refused or waited for. */
  readonly syscall?: string | undefined;
  /** The path the call was about. */
  readonly path?: string | undefined;
  /** Truncation: the bytes that did arrive. */
  readonly data?: Uint8Array | undefined;
  /** Truncation: how many descriptors were sent, where the kernel tells. */
  readonly sent?: number | undefined;
  /** Truncation: how many descriptors arrived (all were closed). */
  readonly received?: number | undefined;
}

/**
 * Every error of the library. Match on {@link FdpassError.code}: the name of an errno (`'EAGAIN'`) for what the kernel
 * refused, `'ERR_FDPASS_…'` for the rest; `docs/errors.md` lists them all.
 *
 * @example
 * ```ts
 * import { Fd, FdpassError } from 'fdpass';
 *
 * try {
 *   Fd.adopt(-1);
 * } catch (error) {
 *   if (!(error instanceof FdpassError)) throw error;
 *   console.log(error.code); // ERR_FDPASS_BAD_FD
 * }
 * ```
 */
export class FdpassError extends Error implements FdpassErrorDetails {
  /** What to match on: an errno's name or `ERR_FDPASS_…`. Stable, as messages are not. */
  readonly code: string;
  /** The errno, negative as in Node's own system errors; only for what the kernel refused. */
  declare readonly errno?: number;
  /** The system call that was refused or waited for. */
  declare readonly syscall?: string;
  /** The path the call was about. */
  declare readonly path?: string;
  /** Truncation: the bytes that did arrive. */
  declare readonly data?: Uint8Array;
  /** Truncation: how many descriptors were sent, where the kernel tells. */
  declare readonly sent?: number;
  /** Truncation: how many descriptors arrived (all were closed). */
  declare readonly received?: number;

  constructor(code: string, message: string, details: FdpassErrorDetails = {}) {
    const { cause, ...facts } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    for (const [name, value] of Object.entries(facts)) {
      if (value !== undefined) Object.defineProperty(this, name, { value, enumerable: true });
    }
  }
}

// On the prototype, as Node's own errors have it: an own property would be printed with every error.
Object.defineProperty(FdpassError.prototype, 'name', {
  value: 'FdpassError',
  writable: true,
  configurable: true,
});

/** An error with a code of the table: the compiler knows which there are. */
export function refusal(code: FdpassErrorCode, message: string, details?: FdpassErrorDetails): FdpassError {
  return new FdpassError(code, message, details);
}

const PANICKED = 'The native part panicked: this is a bug of fdpass';

/** Makes an `FdpassError` of what a native function threw; anything without a code passes as it is. */
export function fromNative(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof FdpassError) return thrown;
  const { code, errno, syscall, path } = thrown as NodeJS.ErrnoException;
  if (code === undefined) return thrown;
  // What napi-rs makes of a panic in a generated function.
  if (code === 'GenericFailure') return refusal('ERR_FDPASS_INTERNAL', PANICKED, { cause: thrown });
  return new FdpassError(code, thrown.message, { errno, syscall, path });
}

/** Calls a native function; what it throws becomes an `FdpassError`. For calls that are not made for every message. */
export function calling<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw fromNative(thrown);
  }
}

/**
 * What an aborted wait rejects with: an `AbortError` as the platform's own have it, `cause` is the signal's reason.
 *
 * @example
 * ```ts
 * import { AbortError, channelPair } from 'fdpass';
 *
 * const [here, there] = channelPair();
 * try {
 *   await here.receive({ signal: AbortSignal.timeout(10) });
 * } catch (error) {
 *   if (!(error instanceof AbortError)) throw error;
 *   console.log(error.code, (error.cause as Error).name); // ABORT_ERR TimeoutError
 * }
 * await Promise.all([here.close(), there.close()]);
 * ```
 */
export class AbortError extends Error {
  /** The code that Node's own aborts have. */
  readonly code = 'ABORT_ERR' as const;

  constructor(signal: AbortSignal) {
    super('The operation was aborted', { cause: signal.reason });
  }
}

Object.defineProperty(AbortError.prototype, 'name', {
  value: 'AbortError',
  writable: true,
  configurable: true,
});

/** The value in an error message: short, and never the content of an object. */
export function shown(value: unknown): string {
  if (typeof value === 'string')
    return `'${printable(value.length > 40 ? `${value.slice(0, 40)}\u2026` : value)}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'an array' : `an object (${value.constructor?.name ?? 'no class'})`;
}

/** Control characters in words: a terminal would obey them, and nobody sees a zero byte. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
