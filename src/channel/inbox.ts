import { checkSignal } from '../check-options.js';
import type { Wire } from '../codec.js';
import { AbortError, type FdpassError, refusal } from '../errors.js';
import type { Message } from '../message.js';
import type { ArrivedMessage } from './arrived-message.js';
import { Queue } from './queue.js';
import { copyMessages, readMessage } from './reader.js';
import { closeBatch, type Oversized, room } from './registry.js';

/** What the receiving half needs of its channel. */
export interface Host<T> {
  /** Hands a message to the `'message'` listeners; what they throw passes through. */
  deliver(message: Message<T>): void;
  /** Starts or stops reading from the socket. */
  setReading(on: boolean): void;
  /** Whether an acknowledgement is waited for, which comes behind messages that nobody may ask for meanwhile. */
  awaitsAcknowledgement(): boolean;
  /** Everything that came was handed out, and nothing follows. `told`: a waiting promise was rejected with the error. */
  finished(error: FdpassError | undefined, told: boolean): void;
}

/** Somebody who waits for a message. `undefined` is the end. */
export interface Waiter<T> {
  settle(message: ArrivedMessage<T> | undefined): void;
  fail(error: FdpassError): void;
}

type Style = 'asking' | 'listening' | 'iterating';

/** What may wait here before reading stops, besides descriptors ({@link room}); one more batch may come. */
const ROOM = { messages: 256, bytes: 1 << 20 };
/**
 * So many times that while an acknowledgement is waited for: a loop whose body awaits one asks for no message until it
 * came, and it comes behind everything that is in the socket.
 */
const TIMES_FOR_ACKNOWLEDGEMENT = 16;

/** Why no more messages come. */
interface End {
  readonly error: FdpassError | undefined;
  settled: boolean;
  told: boolean;
}

/**
 * The receiving half of a channel: messages that arrived and were not handed out, and who wants them, in one of three
 * styles. Reading stops while two batches wait here, which is the back-pressure of the loops.
 */
export class Inbox<T> {
  readonly #host: Host<T>;
  readonly #wire: Wire<T>;
  readonly #queue: Queue<ArrivedMessage<T>> = new Queue();
  #waiters: Waiter<T>[] = [];
  #style: Style = 'asking';
  #end: End | undefined;
  #shut = false;
  #wanted = false;
  #paused = false;
  /** What the messages of the queue have together. */
  #fds = 0;
  #bytes = 0;
  #reading = false;
  #pumping = false;
  /** Of the batch that listeners are getting: the next message, and how many there are. */
  #next = 0;
  #count = 0;
  #oversized: Oversized | undefined;

  constructor(host: Host<T>, wire: Wire<T>) {
    this.#host = host;
    this.#wire = wire;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Whether listeners get the messages: an error that ends the channel is theirs too. */
  get isListening(): boolean {
    return this.#style === 'listening';
  }

  /** Messages of one wake-up, in order. */
  onBatch(count: number, oversized: Oversized): void {
    if (this.#flowing && this.#queue.length === 0) this.#deliverBatch(count, oversized);
    else if (this.#shut) closeBatch(oversized);
    else this.#takeIn(0, count, oversized);
  }

  /** No more messages follow those that came. */
  finish(error: FdpassError | undefined): void {
    this.#end ??= { error, settled: false, told: false };
    this.#updateReading();
    this.#settleEnd();
  }

  /** Ends the reception from this side: what was not handed out is closed, who waits is told. */
  shut(error: FdpassError | undefined): void {
    this.#end ??= { error, settled: false, told: false };
    this.#shut = true;
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift())
      message.closeNow();
    this.#updateReading();
    this.#tellWaiters(this.#end);
    this.#end.settled = true;
  }

  /** Reads from now on, whether somebody asks or not: up to two batches are kept until somebody does. */
  want(): void {
    this.#wanted = true;
    this.#updateReading();
  }

  pause(): void {
    this.#paused = true;
    this.#updateReading();
  }

  resume(): void {
    this.#paused = false;
    this.#updateReading();
    this.#pumpLater();
  }

  /** The first `'message'` listener is about to be added. */
  startListening(): void {
    if (this.#style === 'iterating' || this.#waiters.length > 0) throw busy('listen to messages');
    this.#style = 'listening';
    this.want();
    this.#pumpLater();
  }

  stopListening(): void {
    if (this.#style === 'listening') this.#style = 'asking';
  }

  startIterating(): void {
    if (this.#style !== 'asking' || this.#waiters.length > 0) throw busy('iterate over messages');
    this.#style = 'iterating';
    this.want();
  }

  stopIterating(): void {
    if (this.#style === 'iterating') this.#style = 'asking';
  }

  /** The next message, the caller's from the start; `undefined` at the end. */
  receive(signal: AbortSignal | undefined): Promise<Message<T> | undefined> {
    if (this.#style !== 'asking') return Promise.reject(busy('receive a message'));
    try {
      checkSignal('receive', signal);
    } catch (refused) {
      return Promise.reject(refused);
    }
    this.want();
    const message = this.#take();
    if (message !== undefined) return Promise.resolve(message.keep());
    if (this.#end !== undefined) return this.#received(this.#end);
    return this.#waitForMessage(signal);
  }

  /** For the iterator: a message that is there already. */
  takeNow(): ArrivedMessage<T> | undefined {
    return this.#take();
  }

  /** For the iterator: the next message when it comes, or the end. */
  wait(waiter: Waiter<T>): void {
    if (this.#end === undefined) this.#waiters.push(waiter);
    else this.#tell(waiter, this.#end);
  }

  /** Ends all waiting of an iterator that is left. */
  dismissWaiters(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.settle(undefined);
  }

  /** What is not handed out yet, for a channel that moves to another thread. */
  drain(): ArrivedMessage<T>[] {
    this.#putRestAside();
    const messages: ArrivedMessage<T>[] = [];
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift())
      messages.push(message);
    return messages;
  }

  /** Messages that came before this inbox was made. */
  preload(messages: Iterable<ArrivedMessage<T>>): void {
    this.#keep(messages);
  }

  /** Whether somebody listens, iterates or waits. */
  get inUse(): boolean {
    return this.#style !== 'asking' || this.#waiters.length > 0;
  }

  get #flowing(): boolean {
    return this.#style === 'listening' && !this.#paused && !this.#shut;
  }

  #deliverBatch(count: number, oversized: Oversized): void {
    this.#next = 0;
    this.#count = count;
    this.#oversized = oversized;
    try {
      while (this.#next < this.#count && this.#flowing) {
        const message = readMessage(this.#next, this.#wire, oversized);
        this.#next += 1;
        this.#deliver(message);
      }
    } finally {
      // A listener threw, paused, left or ended the channel: the rest is for later, in order, or closed here.
      if (!this.#shut) this.#putRestAside();
      closeBatch(this.#oversized);
      this.#oversized = undefined;
    }
  }

  /** What is left of the batch that listeners were getting waits in the queue. */
  #putRestAside(): void {
    const oversized = this.#oversized;
    if (oversized === undefined || this.#next >= this.#count) return;
    // It came with the last message, which is among those that are put aside.
    this.#oversized = undefined;
    this.#takeIn(this.#next, this.#count, oversized);
  }

  #deliver(message: ArrivedMessage<T>): void {
    try {
      if (this.#wire.fromBytes !== undefined) message.complete(this.#wire.fromBytes);
      this.#host.deliver(message);
    } finally {
      message.release();
    }
  }

  /** As {@link Inbox.#deliver}, for a message that was put aside: its descriptors are not closed with a batch. */
  #deliverCopied(message: ArrivedMessage<T>): void {
    try {
      if (this.#wire.fromBytes !== undefined) message.complete(this.#wire.fromBytes);
      this.#host.deliver(message);
    } finally {
      message.retire();
    }
  }

  #takeIn(from: number, count: number, oversized: Oversized): void {
    this.#keep(copyMessages(from, count, this.#wire, oversized));
    while (this.#waiters.length > 0 && this.#queue.length > 0) this.#waiters.shift()?.settle(this.#take());
    this.#updateReading();
    this.#pumpLater();
  }

  #take(): ArrivedMessage<T> | undefined {
    const message = this.#shift();
    if (message === undefined) return undefined;
    if (this.#wire.fromBytes !== undefined) message.complete(this.#wire.fromBytes);
    return message;
  }

  #keep(messages: Iterable<ArrivedMessage<T>>): void {
    for (const message of messages) {
      this.#queue.push(message);
      this.#fds += message.count;
      this.#bytes += message.size;
    }
  }

  #shift(): ArrivedMessage<T> | undefined {
    const message = this.#queue.shift();
    if (message === undefined) return undefined;
    this.#fds -= message.count;
    this.#bytes -= message.size;
    this.#updateReading();
    if (this.#end !== undefined && this.#queue.length === 0) process.nextTick(() => this.#settleEnd());
    return message;
  }

  /** Delivers what waits to the listeners, from a turn of the loop of its own. */
  #pumpLater(): void {
    if (this.#pumping || !this.#flowing || this.#queue.length === 0) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    try {
      while (this.#flowing) {
        const message = this.#shift();
        if (message === undefined) break;
        this.#deliverCopied(message);
      }
    } finally {
      this.#pumpLater();
    }
  }

  #waitForMessage(signal: AbortSignal | undefined): Promise<Message<T> | undefined> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        // A codec aborts while it decodes the message that is for this one: too late.
        if (!this.#waiters.includes(waiter)) return;
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(new AbortError(signal as AbortSignal));
      };
      const waiter: Waiter<T> = {
        settle: (message) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(message?.keep());
        },
        fail: (error) => {
          signal?.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** What `receive()` says of an ended channel: its error every time, else the end. */
  #received(end: End): Promise<undefined> {
    if (end.error === undefined) return Promise.resolve(undefined);
    end.told = true;
    return Promise.reject(end.error);
  }

  #settleEnd(): void {
    const end = this.#end;
    if (end === undefined || end.settled || this.#queue.length > 0) return;
    end.settled = true;
    this.#tellWaiters(end);
    this.#host.finished(end.error, end.told);
  }

  #tellWaiters(end: End): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (end.error === undefined) waiter.settle(undefined);
      else waiter.fail(end.error);
      end.told = true;
    }
  }

  /** An iterator that asks after the end hears of an error once, if nobody did before. */
  #tell(waiter: Waiter<T>, end: End): void {
    if (end.error === undefined || end.told) waiter.settle(undefined);
    else {
      end.told = true;
      waiter.fail(end.error);
    }
  }

  #updateReading(): void {
    const on = this.#wanted && !this.#paused && !this.#shut && this.#end === undefined && this.#hasRoom;
    if (on === this.#reading) return;
    this.#reading = on;
    this.#host.setReading(on);
  }

  get #hasRoom(): boolean {
    if (this.#queue.length === 0) return true;
    const waits = this.#host.awaitsAcknowledgement();
    const times = waits ? TIMES_FOR_ACKNOWLEDGEMENT : 1;
    return (
      this.#queue.length < ROOM.messages * times &&
      this.#fds < (waits ? room.fdsForAcknowledgement : room.fds) &&
      this.#bytes < ROOM.bytes * times
    );
  }
}

function busy(what: string): FdpassError {
  return refusal(
    'ERR_FDPASS_BUSY',
    `Cannot ${what}: this channel is consumed in another style. Use one of 'message' listeners, receive() and for await at a time`,
  );
}
