import { EventEmitter } from 'node:events';
import type { ArrivedMessage } from './channel/arrived-message.js';
import { claimChannel, type ParkedChannel } from './channel/claim.js';
import { type Host, Inbox } from './channel/inbox.js';
import { MessageIterator } from './channel/iterator.js';
import { openChannel, openNumber, type Settings, settingsOf } from './channel/open.js';
import { channelClosed, Outbox, type SendOptions } from './channel/outbox.js';
import { type Endpoint, register, unregister } from './channel/registry.js';
import type {
  AnyChannelOptions,
  BytesChannelOptions,
  ChannelEvents,
  Outgoing,
  ValueChannelOptions,
} from './channel/types.js';
import { checkOptions } from './check-options.js';
import type { Codec, Wire } from './codec.js';
import type { PeerCredentials } from './credentials.js';
import { calling, type FdpassError, fromNative, refusal, shown } from './errors.js';
import { Fd } from './fd.js';
import type { Message } from './message.js';
import { native } from './native.js';
import { ChannelEvent } from './native-types.js';
import { checkOwn, OWN } from './own-constructor.js';
import { openInherited } from './parent.js';
import { peerOf } from './peer.js';
import { type Lendable, lend, moved, type Sendable } from './sendable.js';
import { CLAIM_WITHIN, checkedToken, type ThreadToken } from './thread-token.js';

// Makes channels; set where the private constructor is visible.
let make: <T>(handle: number, wire: Wire<T>, messages: Iterable<ArrivedMessage<T>>) => Channel<T>;
let park: (channel: Channel<unknown>) => ParkedChannel;

/**
 * A connection on which messages arrive in order, each whole together with its descriptors, or as a clear error.
 *
 * Messages are consumed in one of three styles at a time: `receive()`, `for await`, or `'message'` listeners. Nothing is
 * read from the socket before that, or before the first message is sent.
 *
 * @example
 * ```ts
 * import { openSync } from 'node:fs';
 * import { channelPair, Fd } from 'fdpass';
 *
 * const [left, right] = channelPair();
 * using file = Fd.adopt(openSync('/dev/null', 'r'));
 * await left.send('a file', [file]);
 * await left.send('and nothing');
 * left.close();
 *
 * for await (const message of right) {
 *   const [fd] = message.fds; // yours to close
 *   console.log(Buffer.from(message.data).toString(), fd?.describe().kind);
 *   fd?.close();
 * }
 * await right.close();
 * ```
 */
export class Channel<T = Uint8Array>
  extends EventEmitter<ChannelEvents<T>>
  implements AsyncIterable<Message<T>>, AsyncDisposable
{
  /** Negative when the native side is gone; messages may still wait in the inbox. */
  #handle: number;
  readonly #wire: Wire<T>;
  readonly #inbox: Inbox<T>;
  readonly #outbox: Outbox<T>;
  #phase: 'open' | 'closing' | 'closed' = 'open';
  /** Why the channel broke. */
  #failure: Error | undefined;
  /** Whether anything was sent. */
  #spoken = false;
  /** Whether anything was sent or asked for, here or in another thread: it cannot go to another process any more. */
  #touched = false;
  #peer: PeerCredentials | undefined;
  #closers: (() => void)[] | undefined;

  private constructor(key: typeof OWN, handle: number, wire: Wire<T>) {
    super();
    checkOwn(key, 'a Channel', 'connect(), listen(), channelPair(), spawnWithChannel() or Channel.from()');
    this.#handle = handle;
    this.#wire = wire;
    this.#inbox = new Inbox(this.#host(), wire);
    this.#outbox = new Outbox(handle, wire);
    this.#watchListeners();
    register(handle, this.#endpoint());
  }

  static {
    make = (handle, wire, messages) => {
      const channel = new Channel(OWN, handle, wire);
      channel.#inbox.preload(messages);
      return channel;
    };
    park = (channel) => channel.#park();
    // Not as methods: they concern the package only.
    const lendable: Lendable & ThisType<Channel<unknown>> = {
      [lend](operation) {
        return this.#lend(operation);
      },
      [moved]() {
        this.destroy();
      },
    };
    Object.assign(Channel.prototype, lendable);
  }

  /**
   * Opens a channel on a connected Unix stream socket, which moves into it.
   *
   * @param socket an `Fd`, or the number of an inherited descriptor
   * @throws {FdpassError} `ERR_FDPASS_NOT_UNIX_SOCKET`, `ERR_FDPASS_KIND` — something else; it stays with its owner
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED`, `ERR_FDPASS_BAD_FD` — no open descriptor
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — a wrong option
   * @example
   * ```ts
   * import { Channel, socketPair } from 'fdpass';
   *
   * const [left, right] = socketPair();
   * const channel = Channel.from(left);
   * channel.destroy();
   * right.close();
   * ```
   */
  static from<T = unknown>(socket: Fd | number, options: ValueChannelOptions<T>): Channel<T>;
  /** Opens a channel of bytes on a connected Unix stream socket, which moves into it. Throws as the form with a codec does. */
  static from(socket: Fd | number, options?: BytesChannelOptions): Channel;
  static from<T>(socket: Fd | number, options: AnyChannelOptions<T> = {}): Channel<T> {
    const settings = settingsOf(options, false);
    if (socket instanceof Fd) return make(openChannel(socket, settings), settings.wire, []);
    if (typeof socket === 'number') return make(openNumber(Fd.adopt(socket), settings), settings.wire, []);
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot open a channel on ${shown(socket)}: give an Fd or a number. Of a Node stream, descriptors would be lost`,
    );
  }

  /**
   * The channel to the process that started this one with `spawnWithChannel()`. Once: the environment variable that
   * names it is removed.
   *
   * @throws {FdpassError} `ERR_FDPASS_NO_PARENT` — not started so, or called before
   * @throws {FdpassError} `ERR_FDPASS_BAD_FD`, `ERR_FDPASS_KIND`, `ERR_FDPASS_NOT_UNIX_SOCKET` — the variable is stale
   */
  static fromParent<T = unknown>(options: ValueChannelOptions<T>): Channel<T>;
  /** The channel of bytes to the process that started this one, once. Throws as the form with a codec does. */
  static fromParent(options?: BytesChannelOptions): Channel;
  static fromParent<T>(options: AnyChannelOptions<T> = {}): Channel<T> {
    const settings = settingsOf(options, false);
    const handle = openInherited((socket) => openNumber(socket, settings));
    return make(handle, settings.wire, []);
  }

  /**
   * The channel that another thread of this process detached. A codec of your own is given again.
   *
   * @throws {FdpassError} `ERR_FDPASS_TOKEN` — claimed before, or no token of a channel
   * @throws {FdpassError} `ERR_FDPASS_CODEC` — it was opened with another codec
   */
  static fromThread<T = Uint8Array>(
    token: ThreadToken,
    options: { readonly codec?: Codec<T> } = {},
  ): Channel<T> {
    const { handle, wire, messages } = claimChannel(checkedToken(token, 'channel'), options.codec);
    const channel = make(handle, wire, messages);
    // What was said in the other thread cannot be said again.
    channel.#touched = !native.channelIsUntouched(handle);
    return channel;
  }

  /** Who is at the other end, as the kernel recorded it when the connection was made. */
  get peer(): PeerCredentials {
    this.#peer ??= peerOf(() => native.channelSocket(this.#need('ask for the peer')));
    return this.#peer;
  }

  /** Whether nothing can be sent any more: `close()` or `destroy()` was called, or the channel broke. */
  get closed(): boolean {
    return this.#phase !== 'open' || this.#handle < 0;
  }

  /** Whether `pause()` is in force. */
  get paused(): boolean {
    return this.#inbox.paused;
  }

  /**
   * Sends a message: resolves when the kernel has taken it whole, or, with `ack`, when the peer has its descriptors.
   *
   * Borrows `fds`: they may be closed as soon as the call returns. `transfer` moves them instead.
   *
   * @throws {FdpassError} `ERR_FDPASS_CODEC` — the value cannot be encoded
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE`, `ERR_FDPASS_FD_CLOSED`, `ERR_FDPASS_BAD_FD`,
   *   `ERR_FDPASS_INVALID_TRANSFER` — a descriptor cannot be sent so; nothing was sent or moved
   * @throws {FdpassError} `ERR_FDPASS_QUEUE_FULL` — the queue is at its limit; nothing was sent or moved
   * @throws {FdpassError} `ERR_FDPASS_TOO_LARGE`, `ERR_FDPASS_TOO_MANY_FDS` — above what the peer accepts
   * @throws {FdpassError} `ERR_FDPASS_PEER_TRUNCATED`, `ERR_FDPASS_PEER_REFUSED` and others — with `ack`: it did not arrive whole
   * @throws {FdpassError} `ERR_FDPASS_CLOSED`, `EPIPE`, `ECONNRESET`, `ERR_FDPASS_PEER_GONE` — the channel is over
   * @throws {AbortError} taken back by `signal`
   */
  send(value: Outgoing<T>, fds?: Iterable<Sendable>, options?: SendOptions): Promise<void> {
    try {
      this.#speak();
    } catch (error) {
      return Promise.reject(error);
    }
    const sent = this.#outbox.send(value as T, fds, options);
    if (options?.ack) this.#inbox.want();
    return sent;
  }

  /**
   * Sends without a promise: the fastest way. Borrows `fds`.
   *
   * @returns whether there is room for more; if not, wait for `'drain'`
   * @throws {FdpassError} as `send()` rejects
   */
  post(value: Outgoing<T>, fds?: Iterable<Sendable>): boolean {
    this.#speak();
    return this.#outbox.post(value as T, fds);
  }

  /**
   * The next message, yours from the start: dispose it, or close its descriptors. `undefined` is the end.
   *
   * Aborting never consumes a message.
   *
   * @throws {FdpassError} `ERR_FDPASS_BUSY` — there is a `'message'` listener or a loop
   * @throws {FdpassError} what ended the channel
   * @throws {AbortError} by `signal`
   */
  receive(options: { readonly signal?: AbortSignal } = {}): Promise<Message<T> | undefined> {
    this.#touched = true;
    try {
      checkOptions('receive', options);
    } catch (refused) {
      return Promise.reject(refused);
    }
    return this.#inbox.receive(options.signal);
  }

  /**
   * The messages one after the other; each is released when the next is asked for. Leaving the loop does not close the
   * channel.
   *
   * @throws {FdpassError} `ERR_FDPASS_BUSY` — there is a `'message'` listener, a waiting `receive()` or another loop
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>> {
    this.#touched = true;
    return new MessageIterator(this.#inbox);
  }

  /** Stops reading, acknowledgements too; messages that are there already are kept. */
  pause(): this {
    this.#inbox.pause();
    return this;
  }

  /** Reads again. */
  resume(): this {
    this.#inbox.resume();
    return this;
  }

  /** The open channel keeps the process alive (the default). */
  ref(): this {
    if (this.#handle >= 0) native.channelRef(this.#handle, true);
    return this;
  }

  /** The open channel does not keep the process alive. */
  unref(): this {
    if (this.#handle >= 0) native.channelRef(this.#handle, false);
    return this;
  }

  /**
   * Sends what is queued, says goodbye and waits for the peer's end, for `closeTimeout` at the most. Messages that were
   * not handed out are closed. Idempotent; resolves when the channel is closed, and never rejects.
   */
  close(): Promise<void> {
    if (this.#phase === 'open') {
      this.#phase = 'closing';
      this.#inbox.shut(undefined);
      if (this.#handle < 0) this.#closed();
      else native.channelClose(this.#handle);
    }
    if (this.#phase === 'closed') return Promise.resolve();
    return new Promise((resolve) => {
      this.#closers ??= [];
      this.#closers.push(resolve);
    });
  }

  /**
   * Closes at once, with everything that is queued here and was not handed out. The peer sees that it ended without a
   * goodbye. Idempotent.
   */
  destroy(error?: Error): this {
    if (this.#phase === 'closed') return this;
    const listening = this.#inbox.isListening;
    this.#inbox.shut(error as FdpassError | undefined);
    this.#drop();
    if (error !== undefined) this.#emitError(error, listening);
    this.#outbox.failAll(error ?? channelClosed('finish sending'));
    this.#closed();
    return this;
  }

  /** Closes at the end of an `await using` block; the same as {@link Channel.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  override removeAllListeners(...names: [name?: string | symbol]): this {
    super.removeAllListeners(...(names as unknown as never[]));
    if (this.listenerCount('newListener' as never) === 0) {
      this.#watchListeners();
      this.#inbox.stopListening();
    }
    return this;
  }

  #lend(operation: string): number {
    const handle = this.#needOpen(`${operation} it`);
    if (this.#touched) throw spoken(operation);
    return native.channelSocket(handle);
  }

  #speak(): void {
    if (this.#handle < 0 || this.#phase !== 'open') throw this.#failure ?? channelClosed('send');
    if (this.#spoken) return;
    this.#spoken = true;
    this.#touched = true;
    // From the first word on the peer is heard: its limits, its acknowledgements, its end.
    this.#inbox.want();
  }

  #need(operation: string): number {
    if (this.#handle < 0) throw this.#failure ?? channelClosed(operation);
    return this.#handle;
  }

  /** One that is closing says goodbye on its socket: it goes nowhere. */
  #needOpen(operation: string): number {
    if (this.#phase !== 'open') throw channelClosed(operation);
    return this.#need(operation);
  }

  /** These survive `removeAllListeners()`: they tell when somebody listens to messages. */
  #watchListeners(): void {
    const self = this as EventEmitter;
    self.on('newListener', (name: string | symbol) => {
      if (name !== 'message' || this.listenerCount('message') > 0) return;
      this.#touched = true;
      this.#inbox.startListening();
    });
    self.on('removeListener', (name: string | symbol) => {
      if (name === 'message' && this.listenerCount('message') === 0) this.#inbox.stopListening();
    });
  }

  #host(): Host<T> {
    return {
      deliver: (message) => {
        this.emit('message', message);
      },
      setReading: (on) => {
        if (this.#handle >= 0) native.channelRead(this.#handle, on);
      },
      awaitsAcknowledgement: () => this.#outbox.awaitsAcknowledgement,
      finished: (error, told) => this.#finished(error, told),
    };
  }

  #endpoint(): Endpoint {
    return {
      onBatch: (count, oversized) => this.#inbox.onBatch(count, oversized),
      onEvent: (event, a, b) => this.#onEvent(event, a, b),
    };
  }

  #onEvent(event: number, a: number, b: unknown): void {
    switch (event) {
      case ChannelEvent.drain:
        this.emit('drain');
        break;
      case ChannelEvent.written:
        this.#outbox.written(a);
        break;
      case ChannelEvent.acknowledged:
        this.#outbox.acknowledged(a);
        break;
      case ChannelEvent.failed:
        this.#failed(a, fromNative(b) as FdpassError);
        break;
      case ChannelEvent.unwritable:
        this.#outbox.failAbove(a, fromNative(b) as FdpassError);
        break;
      case ChannelEvent.end:
        // Not when the channel closes: who waits for an acknowledgement may be who is to take the last messages.
        this.#outbox.failUnacknowledged(channelClosed('wait for the acknowledgement'));
        this.#inbox.finish(undefined);
        break;
      case ChannelEvent.error:
        this.#broken(fromNative(b) as FdpassError);
        break;
      case ChannelEvent.closed:
        this.#handleClosed();
        break;
      case ChannelEvent.pressure:
        this.emit('pressure', String(b));
        break;
    }
  }

  #failed(id: number, error: FdpassError): void {
    if (this.#outbox.failed(id, error)) return;
    if (!this.emit('undelivered', error)) process.emitWarning(error);
  }

  /** The native side is over; what it delivered before is handed out first. */
  #broken(error: FdpassError): void {
    this.#failure = error;
    this.#drop();
    this.#outbox.failAll(error);
    if (this.#phase === 'open') this.#inbox.finish(error);
    else this.#closed();
  }

  #handleClosed(): void {
    this.#forgetHandle();
    this.#outbox.failAll(channelClosed('finish sending'));
    this.#inbox.shut(undefined);
    this.#closed();
  }

  #finished(error: FdpassError | undefined, told: boolean): void {
    if (this.#phase !== 'open') return;
    if (error === undefined) {
      process.nextTick(() => this.emit('end'));
      process.nextTick(() => this.close());
      return;
    }
    this.#emitError(error, this.#inbox.isListening && !told);
    this.#closed();
  }

  /** Without a listener for errors it is thrown as the runtime does it, but only where nobody else hears of it. */
  #emitError(error: Error, must: boolean): void {
    process.nextTick(() => {
      if (must || this.listenerCount('error') > 0) this.emit('error', error);
    });
  }

  #closed(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    process.nextTick(() => {
      for (const done of this.#closers ?? []) done();
      this.emit('close');
    });
  }

  #drop(): void {
    const handle = this.#handle;
    if (handle < 0) return;
    this.#forgetHandle();
    native.channelDestroy(handle);
  }

  #forgetHandle(): void {
    if (this.#handle >= 0) unregister(this.#handle);
    this.#handle = -1;
    this.#outbox.forgetHandle();
  }

  #park(): ParkedChannel {
    const handle = this.#needOpen('detach it');
    if (this.#inbox.inUse || this.#outbox.isWaiting) {
      throw refusal(
        'ERR_FDPASS_BUSY',
        'Cannot detach a channel that is in use: end its loop, remove its listeners and await its sends first',
      );
    }
    const token = calling(() => native.channelPark(handle, CLAIM_WITHIN));
    this.#forgetHandle();
    const messages = this.#inbox.drain();
    this.#inbox.shut(undefined);
    this.#closed();
    return { token, codec: this.#wire.name ?? this.#wire.id, messages };
  }
}

/**
 * `Channel.from` for whatever codec. `ours`: the number of the socket was never shown.
 *
 * @internal
 */
export function channelOn<T>(fd: Fd, options: AnyChannelOptions<T>, ours: boolean): Channel<T> {
  return channelWith(fd, settingsOf(options, ours));
}

/**
 * The same with options that were read before: they may hold what can be read only once.
 *
 * @internal
 */
export function channelWith<T>(fd: Fd, settings: Settings<T>): Channel<T> {
  return make(openChannel(fd, settings), settings.wire, []);
}

/**
 * Takes a live channel apart for another thread.
 *
 * @internal
 */
export function parkChannel(channel: Channel<unknown>): ParkedChannel {
  return park(channel);
}

function spoken(operation: string): FdpassError {
  return refusal(
    'ERR_FDPASS_NOT_SENDABLE',
    `Cannot ${operation} a channel that was used: messages may be under way. Send it before the first message is sent or awaited`,
  );
}
