import type { Wire } from '../codec.js';
import type { MessageCredentials } from '../credentials.js';
import { type FdpassError, fromNative } from '../errors.js';
import { expireList, type FdList, keepList, listOver } from '../fd-list.js';
import { NumbersGuard } from '../guards.js';
import { type Message, released } from '../message.js';
import { native } from '../native.js';
import { type Guard, SafetyNet } from '../safety-net.js';
import { closeSoon } from './closing.js';

type State = typeof LENT | typeof KEPT | typeof RELEASED;
/** Its descriptors are the channel's, and close with the batch unless they are taken. */
const LENT = 0;
/** Its descriptors are the user's. */
const KEPT = 1;
const RELEASED = 2;

/**
 * A message as it is handed out. One is made for every message, so it is small: its descriptors stay numbers in the array
 * of the batch until somebody looks at them.
 */
export class ArrivedMessage<T> implements Message<T> {
  data: T;
  error: FdpassError | undefined;
  /** Where the kernel was asked; else messages do not even have the property. */
  declare credentials?: MessageCredentials;
  /** The array of the batch: entries that were taken are -1. */
  #numbers: Int32Array;
  #start: number;
  readonly count: number;
  /** Bytes on the wire; 0 for messages that are handed out at once. */
  size = 0;
  #list: FdList | undefined = undefined;
  #state: State = LENT;

  constructor(data: T, error: FdpassError | undefined, numbers: Int32Array, start: number, count: number) {
    this.data = data;
    this.error = error;
    this.#numbers = numbers;
    this.#start = start;
    this.count = count;
  }

  get fds(): FdList {
    if (this.#state === RELEASED) throw released();
    if (this.error !== undefined) throw this.error;
    this.#list ??= listOver(this.#numbers, this.#start, this.count);
    return this.#list;
  }

  keep(): this {
    if (this.#state === RELEASED) throw released();
    if (this.#state === LENT && this.count > 0) this.#own();
    this.#state = KEPT;
    return this;
  }

  [Symbol.dispose](): void {
    if (this.#state === KEPT) this.#list?.close();
    else if (this.#state === LENT) this.closeNow();
    this.#state = RELEASED;
  }

  /** Ends the life of a message that was not kept. Whoever has the batch closes its numbers, if this is `true`. */
  release(): boolean {
    if (this.#state !== LENT) return false;
    this.#state = RELEASED;
    if (this.#list !== undefined) expireList(this.#list);
    return this.count > 0;
  }

  /** As {@link release}, for a message of a batch that was put aside. */
  retire(): void {
    if (this.release()) closeSoon(this.#numbers, this.#start, this.#start + this.count);
  }

  /** Closes what is still the channel's, at once. */
  closeNow(): void {
    if (this.release()) native.closeMany(this.#numbers, this.#start, this.#start + this.count);
  }

  /** Moves the numbers out of the batch; of a message that cannot be handed out whole nothing is left to keep. */
  #own(): void {
    if (this.error !== undefined) {
      this.#closeNumbers();
      return;
    }
    this.#list ??= listOver(this.#numbers, this.#start, this.count);
    keepList(this.#list);
  }

  #closeNumbers(): void {
    if (this.#list !== undefined) expireList(this.#list);
    native.closeMany(this.#numbers, this.#start, this.#start + this.count);
  }

  /** Before it is handed out: the batch was copied, and its first number is `shift` places further down. */
  copiedTo(numbers: Int32Array, shift: number): void {
    this.#numbers = numbers;
    this.#start -= shift;
  }

  /** When it is handed out to a loop, which may never ask again. */
  watch(): void {
    if (this.count > 0) safetyNet.add(this as ArrivedMessage<unknown>);
  }

  get isLent(): boolean {
    return this.#state === LENT;
  }

  guard(): Guard {
    const remedy = 'call return() on an iterator that is not used to its end';
    return new NumbersGuard(this.#numbers, this.#start, this.#start + this.count, remedy, undefined);
  }

  /** When it is handed out: a codec with descriptors makes the value of bytes and list. */
  complete(fromBytes: NonNullable<Wire<T>['fromBytes']>): void {
    if (this.error !== undefined) return;
    try {
      this.data = fromBytes(this.data as Uint8Array, this.fds);
    } catch (thrown) {
      this.data = undefined as T;
      this.error = fromNative(thrown) as FdpassError;
      this.#closeNumbers();
    }
  }

  /** For a channel that moves to another thread: gives the numbers away. */
  surrender(): number[] {
    const numbers = [...this.#numbers.subarray(this.#start, this.#start + this.count)];
    this.#numbers.fill(-1, this.#start, this.#start + this.count);
    this.#state = RELEASED;
    return numbers;
  }
}

const safetyNet = new SafetyNet<ArrivedMessage<unknown>>(
  (message) => message.isLent,
  (message) => message.guard(),
);
