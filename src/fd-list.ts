import { constructionStack } from './debug.js';
import { refusal, shown } from './errors.js';
import { closeBecause, Fate, type FateText, type Fd, forgetNumber, ownNumber, peekNumber } from './fd.js';
import { NumbersGuard } from './guards.js';
import { native } from './native.js';
import { checkOwn, OWN } from './own-constructor.js';
import { type Guard, SafetyNet } from './safety-net.js';

/** How many numbers are allocated together for lists that keep theirs. */
const STORAGE = 2048;

// Looked up once: the object of the binding is a slow one, and these are called for every message.
const { closeFd, closeMany } = native;

let storage: Int32Array = new Int32Array(STORAGE);
let used = 0;

// What the other modules of the package may do with a list; set where private fields are visible.
let make: (numbers: Int32Array, from: number, count: number) => FdList;
let end: (list: FdList, state: Exclude<ListState, 'open'>) => void;
let expire: (list: FdList) => void;
let keep: (list: FdList) => void;
let surrender: (list: FdList) => void;
let collect: (list: FdList, into: Int32Array, at: number) => number;
let isOpen: (list: FdList) => boolean;
let guardOf: (list: FdList) => Guard;

type ListState = 'open' | 'closed' | 'released' | 'moved';

/**
 * The descriptors of one message, in the order they were sent. The list owns what was not taken out of it.
 *
 * **Iterating takes**: `const [file] = message.fds` makes the first one yours and leaves the others in the list.
 *
 * @example
 * ```ts
 * import { receiveMessage, sendMessage, socketPair } from 'fdpass';
 *
 * const [left, right] = socketPair();
 * sendMessage(left, 'three', [0, 1, 2]);
 * const message = receiveMessage(right);
 * if (message !== undefined) {
 *   const [first] = message.fds; // yours to close
 *   console.log(message.fds.length, message.fds.at(1).describe().kind);
 *   first?.close();
 *   message.fds.close(); // the other two
 * }
 * left.close();
 * right.close();
 * ```
 */
export class FdList implements Iterable<Fd>, Disposable {
  /** How many descriptors the message came with, those that were taken included. */
  readonly length: number;
  #numbers: Int32Array;
  #from: number;
  /** `Fd`s made by {@link FdList.at}, which own their numbers but are still the list's. */
  #looks: (Fd | undefined)[] | undefined;
  #state: ListState = 'open';
  #stack: string | undefined;

  private constructor(key: typeof OWN, numbers: Int32Array, from: number, count: number) {
    checkOwn(key, 'an FdList', 'the fds of a received message');
    this.#numbers = numbers;
    this.#from = from;
    this.length = count;
    this.#stack = constructionStack();
  }

  static {
    make = (numbers, from, count) => new FdList(OWN, numbers, from, count);
    end = (list, state) => list.#end(state);
    expire = (list) => list.#expire();
    keep = (list) => list.#keep();
    surrender = (list) => list.#surrender();
    collect = (list, into, at) => list.#collect(into, at);
    isOpen = (list) => list.#state === 'open';
    guardOf = (list) => list.#guard();
  }

  /**
   * A look at the descriptor with this index, which is still the list's: it is closed with the list.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — there is no such index
   * @throws {FdpassError} `ERR_FDPASS_FD_TAKEN` — it was taken before
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — the list was closed
   * @throws {FdpassError} `ERR_FDPASS_MESSAGE_RELEASED` — the message was released
   */
  at(index: number): Fd {
    this.#check('look at', index);
    const look = this.#looks?.[index];
    if (look !== undefined) return look;
    const fd = this.#pull('look at', index);
    this.#looks ??= [];
    this.#looks[index] = fd;
    return fd;
  }

  /**
   * Takes the descriptor with this index out of the list: yours to close.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — there is no such index
   * @throws {FdpassError} `ERR_FDPASS_FD_TAKEN` — it was taken before
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — the list was closed
   * @throws {FdpassError} `ERR_FDPASS_MESSAGE_RELEASED` — the message was released
   */
  take(index: number): Fd {
    this.#check('take', index);
    return this.#takeLook(index) ?? this.#pull('take', index);
  }

  /**
   * Takes everything that was not taken before: yours to close, in order.
   *
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — the list was closed
   * @throws {FdpassError} `ERR_FDPASS_MESSAGE_RELEASED` — the message was released
   */
  takeAll(): Fd[] {
    return [...this];
  }

  /**
   * Takes one after the other; what the loop does not reach stays in the list.
   *
   * @throws {FdpassError} `ERR_FDPASS_FD_CLOSED` — the list was closed
   * @throws {FdpassError} `ERR_FDPASS_MESSAGE_RELEASED` — the message was released
   */
  [Symbol.iterator](): IterableIterator<Fd> {
    this.#checkOpen('take descriptors');
    let index = 0;
    const next = (): IteratorResult<Fd, undefined> => {
      this.#checkOpen('take descriptors');
      while (index < this.length) {
        const fd = this.#takeIfThere(index++);
        if (fd !== undefined) return { done: false, value: fd };
      }
      return { done: true, value: undefined };
    };
    const iterator: IterableIterator<Fd> = { next, [Symbol.iterator]: () => iterator };
    return iterator;
  }

  /** Closes what was not taken, consecutive numbers with one call. Idempotent; never throws. */
  close(): void {
    this.#end('closed');
  }

  /** Closes what was not taken at the end of a `using` block; the same as {@link FdList.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #check(operation: string, index: number): void {
    this.#checkOpen(`${operation} a descriptor`);
    if (Number.isInteger(index) && index >= 0 && index < this.length) return;
    const message = `Cannot ${operation} descriptor ${shown(index)}: the message came with ${this.length}. Give an index from 0 below that`;
    throw refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
  }

  #checkOpen(operation: string): void {
    if (this.#state === 'open' || this.length === 0) return;
    const made = this.#stack === undefined ? '' : `. It was made\n${this.#stack}`;
    if (this.#state === 'released') {
      const message = `Cannot ${operation}: the message was released when the next one was asked for. Take descriptors before, or keep() the message${made}`;
      throw refusal('ERR_FDPASS_MESSAGE_RELEASED', message);
    }
    const message = `Cannot ${operation}: the list was ${this.#state}. Take what you need before${made}`;
    throw refusal('ERR_FDPASS_FD_CLOSED', message);
  }

  #takeIfThere(index: number): Fd | undefined {
    const look = this.#takeLook(index);
    if (look !== undefined) return look;
    const number = this.#numbers[this.#from + index] ?? -1;
    return number < 0 ? undefined : this.#pull('take', index);
  }

  #takeLook(index: number): Fd | undefined {
    const look = this.#looks?.[index];
    if (look !== undefined && this.#looks !== undefined) this.#looks[index] = undefined;
    return look;
  }

  /** Moves a number out of the storage into an `Fd`: at every moment exactly one of them has it. */
  #pull(operation: string, index: number): Fd {
    const place = this.#from + index;
    const number = this.#numbers[place] ?? -1;
    if (number < 0) {
      const message = `Cannot ${operation} descriptor ${index}: it was taken before. Keep the Fd that was returned then`;
      throw refusal('ERR_FDPASS_FD_TAKEN', message);
    }
    this.#numbers[place] = -1;
    return ownNumber(number);
  }

  #end(state: Exclude<ListState, 'open'>): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    closeNumbers(this.#numbers, this.#from, this.length);
    this.#closeLooks(state === 'moved' ? Fate.moved : Fate.message);
  }

  /** Ends the list's life without closing: its numbers are closed with those of the whole batch. */
  #expire(): void {
    if (this.#state !== 'open') return;
    this.#state = 'released';
    this.#closeLooks(Fate.message);
  }

  /** Forgets its numbers, which someone else owns from now on. */
  #surrender(): void {
    this.#state = 'moved';
    this.#numbers.fill(-1, this.#from, this.#from + this.length);
    this.#looks?.forEach((look) => {
      if (look !== undefined) forgetNumber(look, Fate.moved);
    });
    this.#looks = undefined;
  }

  #closeLooks(fate: FateText): void {
    this.#looks?.forEach((look) => {
      if (look !== undefined) closeBecause(look, fate);
    });
    this.#looks = undefined;
  }

  /** Copies the numbers to where they may stay, so that the batch they came in can be used again. */
  #keep(): void {
    if (this.#state !== 'open') return;
    const from = reserve(this.length);
    for (let index = 0; index < this.length; index++) {
      storage[from + index] = this.#numbers[this.#from + index] ?? -1;
      this.#numbers[this.#from + index] = -1;
    }
    this.#numbers = storage;
    this.#from = from;
    safetyNet.add(this);
  }

  #collect(into: Int32Array, at: number): number {
    this.#checkOpen('send the descriptors of a message');
    let next = at;
    for (let index = 0; index < this.length; index++) {
      const look = this.#looks?.[index];
      const number = look === undefined ? (this.#numbers[this.#from + index] ?? -1) : peekNumber(look);
      if (number >= 0) into[next++] = number;
    }
    return next;
  }

  #guard(): Guard {
    const remedy = 'call close() on the list or its message, or declare it with `using`';
    return new NumbersGuard(this.#numbers, this.#from, this.#from + this.length, remedy, this.#stack);
  }
}

const safetyNet = new SafetyNet<FdList>(
  (list) => isOpen(list),
  (list) => guardOf(list),
);

/** Every message without descriptors has this one: there is nothing in it to own or to close. */
const none = make(storage, 0, 0);

/**
 * A view into an array that is used again: the list must be released or kept before that. The numbers are in the ledger,
 * and nobody else's.
 *
 * @internal
 */
export function listOver(numbers: Int32Array, from: number, count: number): FdList {
  return count === 0 ? none : make(numbers, from, count);
}

/**
 * A list of its own with the first `count` of `numbers`, which are copied.
 *
 * @internal
 */
export function ownList(numbers: Int32Array, count: number): FdList {
  if (count === 0) return none;
  const from = reserve(count);
  for (let index = 0; index < count; index++) storage[from + index] = numbers[index] ?? -1;
  const list = make(storage, from, count);
  safetyNet.add(list);
  return list;
}

/**
 * Makes a view independent of the array it looks into (`keep()` of a message).
 *
 * @internal
 */
export function keepList(list: FdList): void {
  keep(list);
}

/**
 * Closes what was not taken because the life of the message is over; touching the list afterwards says so.
 *
 * @internal
 */
export function releaseList(list: FdList): void {
  end(list, 'released');
}

/**
 * As {@link releaseList}, but what was not taken is still open in the array: whoever has the array closes it.
 *
 * @internal
 */
export function expireList(list: FdList): void {
  expire(list);
}

/**
 * Closes this process's copies after the descriptors were moved by a send.
 *
 * @internal
 */
export function closeMovedList(list: FdList): void {
  end(list, 'moved');
}

/**
 * Leaves the numbers to someone else, who closes them.
 *
 * @internal
 */
export function surrenderList(list: FdList): void {
  surrender(list);
}

/**
 * Writes the numbers that are still in the list into `into` from `at` on; there is room. Returns where they end.
 *
 * @internal
 */
export function collectList(list: FdList, into: Int32Array, at: number): number {
  return collect(list, into, at);
}

/** A single number, the usual case, goes without looking the array up. */
function closeNumbers(numbers: Int32Array, from: number, count: number): void {
  const number = numbers[from] ?? -1;
  if (count !== 1) closeMany(numbers, from, from + count);
  else if (number >= 0) {
    numbers[from] = -1;
    closeFd(number);
  }
}

/** Where `count` numbers may stay for as long as their list lives. */
function reserve(count: number): number {
  if (used + count > storage.length) renewStorage(count);
  const from = used;
  used += count;
  return from;
}

function renewStorage(count: number): void {
  storage = new Int32Array(Math.max(STORAGE, count));
  used = 0;
}
