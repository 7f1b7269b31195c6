import { EventEmitter } from 'node:events';
import { decide, type TrustOptions } from './authorize.js';
import { Queue } from './channel/queue.js';
import { engine } from './channel/registry.js';
import type { AnyChannelOptions } from './channel/types.js';
import { type Channel, channelOn } from './channel.js';
import type { PeerCredentials } from './credentials.js';
import { type FdpassError, fromNative } from './errors.js';
import { type Fd, needNumber, ownNumber } from './fd.js';
import { native } from './native.js';
import { checkOwn, OWN } from './own-constructor.js';
import { peerOf } from './peer.js';
import { PRESSURE } from './pressure.js';

/** What a listener emits; nobody needs to listen. */
export interface ListenerEvents {
  /** A connection was refused and closed: `error.code` is `ERR_FDPASS_UNAUTHORIZED`, or why it could not be opened. */
  refused: [error: FdpassError, peer: PeerCredentials | undefined];
  /** This process is at its descriptor limit: connections wait in the kernel until it is not. */
  pressure: [code: string];
  /** The listener is closed. */
  close: [];
}

/**
 * A listening socket.
 *
 * @internal
 */
export interface Bound {
  readonly fd: Fd;
  readonly address: string;
  /** Removes what the listener made in the file system, if it is still its own. */
  unlink(): void;
}

type Result<T> = IteratorResult<Channel<T>, undefined>;
interface Waiter<T> {
  /** The loop that waits. */
  readonly loop: object;
  resolve(result: Result<T>): void;
  reject(error: unknown): void;
}

/** Connections accepted ahead of the loop, those under decision included; the others wait in the kernel. */
const AHEAD = 16;

/** The pause after `accept` failed for want of descriptors or memory. */
const PRESSURE_PAUSE = 100;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

// Set where the private constructor is visible.
let make: <T>(bound: Bound, options: AnyChannelOptions<T> & TrustOptions) => Listener<T>;

/**
 * Accepts connections as channels: an async iterable. Made by `listen()`.
 *
 * Nothing is accepted before somebody iterates. Leaving the loop does not close the listener.
 *
 * @example
 * ```ts
 * import { mkdtempSync, rmdirSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { connect, listen } from 'fdpass';
 *
 * const folder = mkdtempSync(join(tmpdir(), 'example-'));
 * const listener = await listen(join(folder, 'socket'));
 * const client = await connect(listener.address);
 * for await (const channel of listener) {
 *   console.log(channel.peer?.uid === process.geteuid?.()); // true
 *   channel.destroy();
 *   break; // the listener goes on listening
 * }
 * client.destroy();
 * await listener.close(); // removes the path
 * rmdirSync(folder);
 * ```
 */
export class Listener<T = Uint8Array>
  extends EventEmitter<ListenerEvents>
  implements AsyncIterable<Channel<T>>, AsyncDisposable
{
  /** Where to connect to: the path, or the abstract name with its leading zero. */
  readonly address: string;
  readonly #bound: Bound;
  readonly #options: AnyChannelOptions<T> & TrustOptions;
  readonly #closing = new AbortController();
  readonly #ready: Queue<Channel<T>> = new Queue();
  #waiters: Waiter<T>[] = [];
  #deciding = 0;
  #iterating = 0;
  #watch = 0;
  #retry: NodeJS.Timeout | undefined;
  #referenced = true;
  #failure: unknown;

  private constructor(key: typeof OWN, bound: Bound, options: AnyChannelOptions<T> & TrustOptions) {
    super();
    checkOwn(key, 'a Listener', 'listen()');
    this.address = bound.address;
    this.#bound = bound;
    this.#options = options;
  }

  static {
    make = (bound, options) => new Listener(OWN, bound, options);
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Channels of admitted connections, one after the other. Ends when the listener is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Channel<T>> {
    let over = false;
    this.#iterating += 1;
    const loop: AsyncIterableIterator<Channel<T>> = {
      next: () => (over ? Promise.resolve(DONE) : this.#next(loop)),
      return: () => {
        if (!over) this.#leave(loop);
        over = true;
        return Promise.resolve(DONE);
      },
      [Symbol.asyncIterator]: () => loop,
    };
    return loop;
  }

  /** Waiting for connections keeps the process alive (the default). */
  ref(): this {
    this.#setReferenced(true);
    return this;
  }

  /** Waiting for connections does not keep the process alive. */
  unref(): this {
    this.#setReferenced(false);
    return this;
  }

  /**
   * Stops listening and removes the socket file, if it is still its own. Connections that no loop has taken are closed;
   * channels that were handed out go on. Idempotent.
   */
  async close(): Promise<void> {
    if (this.closed) return;
    this.#closing.abort(new Error('The listener was closed'));
    this.#update();
    this.#bound.unlink();
    this.#bound.fd.close();
    for (let channel = this.#ready.shift(); channel !== undefined; channel = this.#ready.shift())
      channel.destroy();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
    this.emit('close');
  }

  /** Closes at the end of an `await using` block; the same as {@link Listener.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #leave(loop: object): void {
    this.#iterating -= 1;
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => waiter.loop !== loop);
    for (const waiter of waiters) if (waiter.loop === loop) waiter.resolve(DONE);
    this.#update();
  }

  #next(loop: object): Promise<Result<T>> {
    const channel = this.#ready.shift();
    this.#update();
    if (channel !== undefined) return Promise.resolve({ done: false, value: channel });
    if (this.closed)
      return this.#failure === undefined ? Promise.resolve(DONE) : Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ loop, resolve, reject }));
  }

  get #hasRoom(): boolean {
    return !this.closed && this.#iterating > 0 && this.#ready.length + this.#deciding < AHEAD;
  }

  /** Watches the socket exactly while a connection could be taken. */
  #update(): void {
    if (!this.#hasRoom) {
      this.#stopWatching();
      if (this.#retry !== undefined) clearTimeout(this.#retry);
      this.#retry = undefined;
    } else if (this.#watch === 0 && this.#retry === undefined) this.#startWatching();
  }

  #startWatching(): void {
    try {
      this.#watch = native.watchStart(this.#number, () => this.#accept(), engine);
      if (!this.#referenced) native.watchRef(this.#watch, false);
    } catch (thrown) {
      this.#failed(fromNative(thrown) as FdpassError);
    }
  }

  #stopWatching(): void {
    if (this.#watch !== 0) native.watchStop(this.#watch);
    this.#watch = 0;
  }

  #setReferenced(on: boolean): void {
    this.#referenced = on;
    if (this.#watch !== 0) native.watchRef(this.#watch, on);
    if (on) this.#retry?.ref();
    else this.#retry?.unref();
  }

  get #number(): number {
    return needNumber('accept', this.#bound.fd);
  }

  #accept(): void {
    try {
      while (this.#hasRoom) {
        const number = native.acceptUnix(this.#number);
        if (number < 0) break;
        this.#admit(ownNumber(number));
      }
    } catch (thrown) {
      this.#failed(fromNative(thrown) as FdpassError);
    }
    this.#update();
  }

  /** Out of descriptors: a later try, without watching, which would spin. Anything else ends the listener. */
  #failed(error: FdpassError): void {
    if (PRESSURE.has(error.code)) {
      this.#stopWatching();
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.#update();
      }, PRESSURE_PAUSE);
      if (!this.#referenced) this.#retry.unref();
      this.emit('pressure', error.code);
      return;
    }
    this.#failure = error;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      this.#failure = undefined;
      waiter.reject(error);
    }
    void this.close();
  }

  #admit(socket: Fd): void {
    let peer: PeerCredentials;
    try {
      peer = peerOf(() => needNumber('ask for the peer', socket));
    } catch (error) {
      this.#refuse(socket, error as FdpassError, undefined);
      return;
    }
    const decision = decide(this.#options, peer, this.#closing.signal);
    if (decision instanceof Promise) this.#admitLater(socket, peer, decision);
    else this.#conclude(socket, peer, decision);
  }

  #admitLater(socket: Fd, peer: PeerCredentials, decision: Promise<FdpassError | undefined>): void {
    this.#deciding += 1;
    void decision.then((refusal) => {
      this.#deciding -= 1;
      this.#conclude(socket, peer, refusal);
      this.#update();
    });
  }

  #conclude(socket: Fd, peer: PeerCredentials, refusal: FdpassError | undefined): void {
    if (this.closed) socket.close();
    else if (refusal === undefined) this.#open(socket, peer);
    else this.#refuse(socket, refusal, peer);
  }

  #open(socket: Fd, peer: PeerCredentials): void {
    let channel: Channel<T>;
    try {
      channel = channelOn(socket, this.#options, true);
    } catch (error) {
      this.#refuse(socket, error as FdpassError, peer);
      return;
    }
    // By a getter of the options, which are the user's and read for each connection.
    if (this.closed) {
      channel.destroy();
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#ready.push(channel);
    else waiter.resolve({ done: false, value: channel });
  }

  #refuse(socket: Fd, error: FdpassError, peer: PeerCredentials | undefined): void {
    socket.close();
    this.emit('refused', error, peer);
  }
}

/**
 * A listener on a listening socket, which is its own from then on.
 *
 * @internal
 */
export function listenerOn<T>(bound: Bound, options: AnyChannelOptions<T> & TrustOptions): Listener<T> {
  return make(bound, options);
}
