import { ABSTRACT, type Address, addressInWords, type Name, parseAddress } from './address.js';
import { checkTrust, DEFAULT_MODE, type TrustOptions } from './authorize.js';
import { configOf } from './channel/config.js';
import type { AnyChannelOptions, BytesChannelOptions, ValueChannelOptions } from './channel/types.js';
import { checkInteger, lasting, wrongOption } from './check-options.js';
import { wireIn } from './codec.js';
import { calling, refusal } from './errors.js';
import { Fate, Fd, forgetNumber, needNumber, ownNumber } from './fd.js';
import { kindInWords } from './inspect.js';
import { MAX_INT } from './limits.js';
import { type Bound, type Listener, listenerOn } from './listener.js';
import { native } from './native.js';
import { bindFile, notListening } from './socket-file.js';

/** How to listen. */
export interface ListenOptions extends TrustOptions {
  /** Replaces a live server's path at once, without a moment at which nobody listens there. */
  readonly replace?: boolean;
  /** How many connections may wait (511); the kernel caps it. */
  readonly backlog?: number;
}

const DEFAULT_BACKLOG = 511;

/**
 * Listens for channels: at a path (mode 0600), an abstract name, or on a listening socket. Only connections of the same
 * user are admitted unless `authorize` says otherwise.
 *
 * @throws {FdpassError} `EADDRINUSE` — a live server is there; a dead one's path is taken over
 * @throws {FdpassError} `ENOENT`, `EACCES` — the folder is not there, or not writable
 * @throws {FdpassError} `ERR_FDPASS_ADDRESS_INVALID`, `ERR_FDPASS_ADDRESS_TOO_LONG` — no address
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — a wrong option, or strangers without limits
 * @throws {FdpassError} `ERR_FDPASS_KIND` — the descriptor is no listening Unix stream socket
 * @example
 * ```ts
 * import { connect, listen } from 'fdpass';
 *
 * const listener = await listen<{ job: number }>('/tmp/fdpass-jobs.sock', { codec: 'json' });
 * const client = await connect<{ job: number }>(listener.address, { codec: 'json' });
 * client.post({ job: 1 });
 * for await (const channel of listener) {
 *   const message = await channel.receive();
 *   console.log(message?.data.job, channel.peer.source); // 1 connect
 *   channel.destroy();
 *   break;
 * }
 * client.destroy();
 * await listener.close();
 * ```
 */
export function listen<T = unknown>(
  address: Address,
  options: ValueChannelOptions<T> & ListenOptions,
): Promise<Listener<T>>;
/** Listens for channels of bytes: text is sent as UTF-8, and arrives as a `Uint8Array`. Rejects as the form with a codec does. */
export function listen(address: Address, options?: BytesChannelOptions & ListenOptions): Promise<Listener>;
export async function listen<T>(
  address: Address,
  given: AnyChannelOptions<T> & ListenOptions = {},
): Promise<Listener<T>> {
  const options = lasting(given);
  configOf(options, wireIn('listen', options).id, true);
  checkTrust(options);
  checkListenOptions(options);
  const where = parseAddress(address);
  try {
    return listenerOn(bind(where, options), options);
  } catch (error) {
    if (typeof address === 'number' && where instanceof Fd) where.release();
    throw error;
  }
}

function checkListenOptions({ backlog, replace }: ListenOptions): void {
  if (backlog !== undefined) checkInteger('listen', 'backlog', backlog, 0, MAX_INT);
  if (replace !== undefined && typeof replace !== 'boolean')
    throw wrongOption('listen', 'replace', replace, 'true, false');
}

function bind(where: Name | Fd, options: ListenOptions): Bound {
  if (where instanceof Fd) return adopt(where);
  const { mode = DEFAULT_MODE, backlog = DEFAULT_BACKLOG, replace = false } = options;
  if (where.kind === ABSTRACT) return bindAbstract(where, backlog, replace);
  const { listener, unlink } = bindFile(where, mode, backlog, replace);
  return { fd: listener, address: where.text, unlink };
}

function bindAbstract(where: Name, backlog: number, replace: boolean): Bound {
  if (replace)
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      'Cannot replace an abstract name: it has one owner at a time',
    );
  try {
    const fd = ownNumber(native.listenUnix(where.kind, where.bytes, 0, backlog));
    return { fd, address: `\0${where.text}`, unlink: () => undefined };
  } catch (error) {
    throw notListening(error, where.text, addressInWords(where));
  }
}

/** A listening socket that someone else made (a parent, a supervisor): its path is theirs to remove. */
function adopt(fd: Fd): Bound {
  const info = fd.describe();
  if (info.kind !== 'unix' || !info.listening || info.socketType !== 'stream') {
    throw refusal(
      'ERR_FDPASS_KIND',
      `Cannot listen on the descriptor: it is ${kindInWords(info)}, not a listening Unix stream socket. It stays with its owner`,
    );
  }
  const number = needNumber('listen', fd);
  calling(() => native.setNonblocking(number, true));
  const own = ownNumber(forgetNumber(fd, Fate.channel));
  const address = info.path ?? (info.abstractName === undefined ? '' : `\0${info.abstractName}`);
  return { fd: own, address, unlink: () => undefined };
}
