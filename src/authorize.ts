import type { ChannelOptions } from './channel/config.js';
import type { PeerCredentials } from './credentials.js';
import { type FdpassError, refusal, shown } from './errors.js';
import { MAX_INT } from './limits.js';

/**
 * Decides about one connection. `signal` is aborted when its time is over or the listener closes; anything but `true`
 * refuses, a rejection too.
 */
export type AuthorizeFunction = (peer: PeerCredentials, signal: AbortSignal) => boolean | Promise<boolean>;

/** Whom a listener admits. */
export interface TrustOptions {
  /** Permissions of the socket file (0o600). Wider ones need `accept` to be said. */
  readonly mode?: number;
  /**
   * `'same-user'` (the default), a function, or `'anyone'`, which needs `accept` to be said: `maxFds`, `maxMessageBytes`
   * and `kinds`.
   */
  readonly authorize?: 'same-user' | 'anyone' | AuthorizeFunction;
  /** Milliseconds that an `authorize` function may take for one connection (5,000). */
  readonly authorizeTimeout?: number;
}

/** What is not said is as narrow as possible. */
export const DEFAULT_MODE = 0o600;
const DEFAULT_AUTHORIZE_TIMEOUT = 5_000;

/** Any permission for group or others. */
const WIDE = 0o077;

/**
 * Refuses options that would let strangers in without limits.
 *
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT`
 */
export function checkTrust(options: TrustOptions & ChannelOptions): void {
  const { mode = DEFAULT_MODE, authorize = 'same-user', authorizeTimeout, accept } = options;
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o777)
    throw wrong('mode', mode, 'permissions from 0 to 0o777');
  if (authorize !== 'same-user' && authorize !== 'anyone' && typeof authorize !== 'function')
    throw wrong('authorize', authorize, "'same-user', 'anyone' or a function");
  if (authorizeTimeout !== undefined && !(typeof authorizeTimeout === 'number' && authorizeTimeout > 0))
    throw wrong('authorizeTimeout', authorizeTimeout, 'milliseconds above 0, or Infinity');
  if (authorize !== 'anyone' && (mode & WIDE) === 0) return;
  if (accept?.maxFds === undefined || accept.maxMessageBytes === undefined || accept.kinds === undefined) {
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      'Cannot listen for other users without limits: say `accept: { maxFds, maxMessageBytes, kinds }`, or leave `mode` and `authorize` as they are',
    );
  }
}

/**
 * Asks whether `peer` is admitted; resolves with the reason when it is not. Never rejects.
 *
 * A promise only where a function has to be waited for, so that the usual case costs none.
 */
export function decide(
  { authorize = 'same-user', authorizeTimeout = DEFAULT_AUTHORIZE_TIMEOUT }: TrustOptions,
  peer: PeerCredentials,
  closing: AbortSignal,
): FdpassError | undefined | Promise<FdpassError | undefined> {
  if (authorize === 'anyone') return undefined;
  if (authorize === 'same-user') {
    const own = process.geteuid?.();
    return peer.uid === own ? undefined : unauthorized(peer, `only the user ${own} is admitted`);
  }
  return decideBy(authorize, authorizeTimeout, peer, closing);
}

async function decideBy(
  authorize: AuthorizeFunction,
  timeout: number,
  peer: PeerCredentials,
  closing: AbortSignal,
): Promise<FdpassError | undefined> {
  const ending = new AbortController();
  const end = (): void => ending.abort(unauthorized(peer, 'the listener is closed'));
  closing.addEventListener('abort', end, { once: true });
  const late = (): void => ending.abort(unauthorized(peer, 'the decision took too long'));
  // A timer takes what is longer for no time at all.
  const timer = setTimeout(late, Math.min(timeout, MAX_INT));
  try {
    const admitted = await Promise.race([authorize(peer, ending.signal), aborted(ending.signal)]);
    // A function that gives up and says yes is too late all the same.
    if (ending.signal.aborted) return ending.signal.reason;
    return admitted === true ? undefined : unauthorized(peer, '`authorize` said no');
  } catch (cause) {
    return ending.signal.aborted ? ending.signal.reason : unauthorized(peer, '`authorize` failed', cause);
  } finally {
    clearTimeout(timer);
    closing.removeEventListener('abort', end);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function unauthorized(peer: PeerCredentials, why: string, cause?: unknown): FdpassError {
  const who = `user ${peer.uid}, process ${peer.pid ?? 'unknown'}`;
  return refusal('ERR_FDPASS_UNAUTHORIZED', `A connection was refused (${who}): ${why}`, { cause });
}

function wrong(name: string, value: unknown, expected: string): FdpassError {
  return refusal('ERR_FDPASS_INVALID_ARGUMENT', `Cannot use ${shown(value)} as ${name}: give ${expected}`);
}
