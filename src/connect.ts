import { type Address, addressInWords, checkInherited, type Name, parseAddress } from './address.js';
import { configOf } from './channel/config.js';
import type { AnyChannelOptions, BytesChannelOptions, ValueChannelOptions } from './channel/types.js';
import { Channel, channelOn } from './channel.js';
import { checkOptions, checkSignal, lasting, wrongOption } from './check-options.js';
import { wireIn } from './codec.js';
import { AbortError, FdpassError, fromNative, refusal } from './errors.js';
import { Fd, ownNumber } from './fd.js';
import { native } from './native.js';

/** How to connect. */
export interface ConnectOptions {
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
  /** Milliseconds to wait for a listener whose queue is full; without it there is no limit. */
  readonly timeout?: number;
}

/** The pauses between two attempts while the listener's queue is full. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 50;

/**
 * Connects to a listener, or makes a channel of a connected socket.
 *
 * Waits only while the listener's queue is full; a listener that is not there is an error at once.
 *
 * @throws {FdpassError} `ENOENT`, `ECONNREFUSED` — nobody listens there
 * @throws {FdpassError} `EACCES` — the socket file is another user's
 * @throws {FdpassError} `ERR_FDPASS_TIMEOUT` — its queue stayed full for `timeout`
 * @throws {FdpassError} `ERR_FDPASS_ADDRESS_INVALID`, `ERR_FDPASS_ADDRESS_TOO_LONG` — no address
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — a wrong option
 * @throws {FdpassError} `ERR_FDPASS_BAD_FD` — a number that is not open: it is a descriptor, never a port
 * @throws {AbortError} by `signal`
 * @example
 * ```ts
 * import { connect, listen } from 'fdpass';
 *
 * const listener = await listen('/tmp/fdpass-example.sock');
 * const client = await connect('/tmp/fdpass-example.sock');
 * client.post('hello');
 * for await (const channel of listener) {
 *   const message = await channel.receive();
 *   console.log(message?.data.length); // 5
 *   await Promise.all([channel.close(), client.close()]);
 *   break;
 * }
 * await listener.close();
 * ```
 */
export function connect<T = unknown>(
  address: Address,
  options: ValueChannelOptions<T> & ConnectOptions,
): Promise<Channel<T>>;
/** Connects a channel of bytes: text is sent as UTF-8, and arrives as a `Uint8Array`. Rejects as the form with a codec does. */
export function connect(address: Address, options?: BytesChannelOptions & ConnectOptions): Promise<Channel>;
export async function connect<T>(
  address: Address,
  given: AnyChannelOptions<T> & ConnectOptions = {},
): Promise<Channel<T>> {
  const options = lasting(given);
  checkConnectOptions(options);
  if (typeof address === 'number') {
    checkInherited(address);
    return Channel.from(address, options as ValueChannelOptions<T>);
  }
  const where = parseAddress(address);
  if (where instanceof Fd) return channelOn(where, options, false);
  // Wrong options are told before anything is opened.
  configOf(options, wireIn('connect', options).id, true);
  const socket = await connectTo(where, options);
  try {
    return channelOn(socket, options, true);
  } catch (error) {
    socket.close();
    throw error;
  }
}

function checkConnectOptions(options: ConnectOptions): void {
  checkOptions('connect', options);
  const { signal, timeout } = options;
  checkSignal('connect', signal);
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0))
    throw wrongOption('connect', 'timeout', timeout, 'milliseconds from 0, or Infinity');
}

async function connectTo(where: Name, { signal, timeout }: ConnectOptions): Promise<Fd> {
  const end = timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeout;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    if (signal?.aborted) throw new AbortError(signal);
    const socket = tryToConnect(where);
    if (socket !== undefined) return socket;
    if (performance.now() >= end) throw stillFull(where, timeout);
    await waitFor(Math.min(pause, Math.max(1, end - performance.now())), signal);
  }
}

/** `undefined` while the queue of the listener is full. */
function tryToConnect(where: Name): Fd | undefined {
  try {
    return ownNumber(native.connectUnix(where.kind, where.bytes));
  } catch (thrown) {
    const error = fromNative(thrown);
    if (!(error instanceof FdpassError)) throw error;
    if (error.code === 'EAGAIN') return undefined;
    const { errno, syscall } = error;
    throw new FdpassError(error.code, `Cannot connect to ${addressInWords(where)}: ${error.message}`, {
      errno,
      syscall,
      path: where.text,
    });
  }
}

function waitFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(new AbortError(signal as AbortSignal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function stillFull(where: Name, timeout: number | undefined): FdpassError {
  const message = `Cannot connect to ${addressInWords(where)}: its queue stayed full for ${timeout} ms`;
  return refusal('ERR_FDPASS_TIMEOUT', message, { path: where.text, syscall: 'connect' });
}
