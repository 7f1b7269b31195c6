import type { CodecName } from './codec.js';
import type { MessageCredentials } from './credentials.js';
import { type FdpassErrorDetails, refusal, shown } from './errors.js';

/**
 * A descriptor or a channel on its way to another thread of this process. It survives `postMessage` and can be claimed
 * once, with `Fd.fromThread()` or `Channel.fromThread()`; what nobody claims within a minute is closed.
 */
export type ThreadToken = FdToken | ChannelToken;

/** What `Fd.fromThread()` claims. */
export interface FdToken {
  readonly fdpass: 'fd';
  readonly token: number;
}

/** What `Channel.fromThread()` claims. */
export interface ChannelToken {
  readonly fdpass: 'channel';
  readonly token: number;
  readonly codec: CodecName | number;
  /** Messages that had arrived and were not handed out. */
  readonly messages: readonly MessageToken[];
}

/** A message on its way to another thread. */
export interface MessageToken {
  readonly data: unknown;
  readonly fds: readonly number[];
  readonly credentials?: MessageCredentials;
  readonly error?: FdpassErrorDetails & { readonly code: string; readonly message: string };
}

/**
 * Milliseconds in which a token must be claimed. The binding keeps the time: the thread that detached may have ended.
 *
 * @internal
 */
export const CLAIM_WITHIN = 60_000;

/**
 * The token, if it is one of this kind.
 *
 * @internal
 */
export function checkedToken<Kind extends ThreadToken['fdpass']>(
  token: unknown,
  kind: Kind,
): Extract<ThreadToken, { fdpass: Kind }> {
  const { fdpass, token: number } = (token ?? {}) as Partial<ThreadToken>;
  // The binding would cut it to one that is somebody's.
  if (fdpass === kind && Number.isInteger(number)) return token as Extract<ThreadToken, { fdpass: Kind }>;
  const message = `Cannot claim ${shown(token)}: it is no token of detachForThread() for ${kind === 'fd' ? 'an Fd' : 'a channel'}. Give what it returned, as it came by postMessage()`;
  throw refusal('ERR_FDPASS_TOKEN', message);
}
