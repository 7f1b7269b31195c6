import type { Socket as DatagramSocket } from 'node:dgram';
import type { Server, Socket } from 'node:net';
import type { Channel } from './channel.js';
import { refusal, shown } from './errors.js';
import { closeBecause, Fate, Fd, forgetNumber, needNumber } from './fd.js';
import { closeMovedList, collectList, FdList, surrenderList } from './fd-list.js';
import { checkNumber, endMoved, type HasFd, numberOf, type Use } from './node-objects.js';
import { usual } from './shared-arrays.js';

/** Objects of the library itself that can be sent, a channel for one, tell their descriptor by this. */
export const lend: unique symbol = Symbol('fdpass.lend');
/** Called on them when their descriptor has moved away. */
export const moved: unique symbol = Symbol('fdpass.moved');

/** An object of the library with a descriptor that can be sent. */
export interface Lendable {
  /** The number, still the object's; throws when it cannot be sent. */
  [lend](operation: string, use: Use): number;
  /** The descriptor was sent for good: the object closes its own copy. */
  [moved](): void;
}

/**
 * What can be sent: an {@link Fd}, a number, anything with a numeric `fd` (`FileHandle`, streams of `node:fs`, terminals),
 * and the sockets and servers of `node:net` and `node:dgram`.
 *
 * Numbers and objects with an `fd` can be lent, not moved.
 */
export type Sendable = Fd | number | HasFd | Socket | Server | DatagramSocket | Channel<unknown> | Lendable;

/** `undefined` while a collection is under way: an iterable of the user may send a message of its own meanwhile. */
let free: Int32Array | undefined = usual;

/**
 * The numbers of the last {@link collect}, valid until the next one.
 *
 * @internal
 */
export let numbers: Int32Array = usual;

/** What a message may carry, and how its descriptors are looked at. */
export interface Collecting {
  /** The verb for messages: `send`. */
  readonly operation: string;
  /** The most descriptors the message may have. */
  readonly limit: number;
  /** Whether sockets with unread bytes may be sent all the same. */
  readonly unread: boolean;
}

/**
 * Writes the numbers of `fds` into {@link numbers} and returns how many there are; nothing changes hands.
 *
 * An {@link FdList} is looked at, not taken.
 *
 * @throws {FdpassError} with the reason why one cannot be sent
 * @internal
 */
export function collect(fds: Iterable<Sendable>, how: Collecting): number {
  const only = Array.isArray(fds) && fds.length === 1 ? (fds[0] as Sendable) : undefined;
  // The usual message has one, and nothing of the user runs while an `Fd` is looked at.
  if (only instanceof Fd && free !== undefined) {
    free[0] = needNumber(how.operation, only);
    if (numbers !== free) numbers = free;
    return 1;
  }
  return collectAll(fds, how);
}

function collectAll(fds: Iterable<Sendable>, how: Collecting): number {
  const room = free;
  free = undefined;
  try {
    return collectInto(room ?? new Int32Array(usual.length), fds, how);
  } finally {
    free = room;
  }
}

function collectInto(into: Int32Array, fds: Iterable<Sendable>, how: Collecting): number {
  if (Array.isArray(fds)) return collectItems(into, fds, fds.length, how);
  // All of them before the first number is asked for: what goes through them may close one that it gave before.
  if (!(fds instanceof FdList)) return collectItems(into, gathered(fds, how), undefined, how);
  const room = roomFor(fds.length, into);
  const count = collectList(fds, room, 0);
  numbers = room;
  if (count > how.limit) throw tooMany(how, undefined);
  return count;
}

function collectItems(
  into: Int32Array,
  items: readonly Sendable[],
  given: number | undefined,
  how: Collecting,
): number {
  // Once, and the array below: code of the user may change it.
  const { length } = items;
  let list = items;
  const room = roomFor(Math.min(length, how.limit), into);
  let count = 0;
  let foreign = false;
  // Not `for of`: this loop runs once for every descriptor sent.
  for (let index = 0; index < length && count <= how.limit; index++) {
    const item = list[index];
    if (item instanceof Fd) {
      room[count++] = needNumber(how.operation, item);
      continue;
    }
    if (!foreign && typeof item !== 'number') {
      foreign = true;
      list = items.slice(0, length);
    }
    room[count++] = numberToSend(item, how);
  }
  // An object that was asked for its number may have closed one of these, and the number be another one's.
  if (foreign) for (const item of list) if (item instanceof Fd) needNumber(how.operation, item);
  numbers = room;
  if (count > how.limit) throw tooMany(how, given);
  return count;
}

/**
 * What `transfer` moves, checked before the send so that a wrong one moves nothing.
 *
 * @internal
 */
export class Move {
  readonly #items: readonly Sendable[];
  readonly #list: FdList | undefined;

  private constructor(items: readonly Sendable[], list?: FdList) {
    this.#items = items;
    this.#list = list;
  }

  /**
   * @throws {FdpassError} `ERR_FDPASS_INVALID_TRANSFER` — not among `fds`, listed twice, or can only be lent
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE` — a socket or server that must not leave as it is
   */
  static plan(fds: readonly Sendable[] | FdList, transfer: true | Iterable<Sendable>, how: Collecting): Move {
    if (fds instanceof FdList) {
      if (transfer === true) return new Move([], fds);
      throw refusal(
        'ERR_FDPASS_INVALID_TRANSFER',
        `Cannot ${how.operation}: part of an FdList cannot be moved. Take what is to move, or use transfer: true`,
      );
    }
    const items = transfer === true ? fds : [...new Set(iterable(transfer, how.operation))];
    for (const item of items) checkMovable(item, fds, how);
    return new Move(items);
  }

  /** Whether all of `fds` moves and is owned here by number, so that the numbers themselves can be given away. */
  takes(fds: readonly Sendable[] | FdList): boolean {
    if (this.#list !== undefined) return true;
    return this.#items.length === fds.length && this.#items.every((item) => item instanceof Fd);
  }

  /** Every descriptor that moves, for a check of its own. */
  get numbers(): number[] {
    if (this.#list === undefined) return this.#items.map((item) => movableNumber(item, 'send', true));
    const numbers = new Int32Array(this.#list.length);
    return [...numbers.subarray(0, collectList(this.#list, numbers, 0))];
  }

  /** Forgets what was given away by number. */
  surrender(): void {
    if (this.#list !== undefined) surrenderList(this.#list);
    for (const item of this.#items) forgetNumber(item as Fd, Fate.moved);
  }

  /** Ends what has moved: the receiver has it, or a queued message its own copy. */
  complete(): void {
    if (this.#list !== undefined) closeMovedList(this.#list);
    for (const item of this.#items) {
      if (item instanceof Fd) closeBecause(item, Fate.moved);
      else if (isLendable(item)) item[moved]();
      else endMoved(item);
    }
  }
}

/**
 * `fds` as something that can be gone through twice.
 *
 * @internal
 */
export function listed(fds: Iterable<Sendable> | undefined, how: Collecting): readonly Sendable[] | FdList {
  if (fds === undefined) return [];
  if (fds instanceof FdList) return fds;
  // A copy: what is checked, what is sent and what is closed then are the same, whatever code of the user does meanwhile.
  return Array.isArray(fds) ? fds.slice() : gathered(fds, how);
}

/** Not more than tell that there are too many. */
function gathered(fds: Iterable<Sendable>, how: Collecting): Sendable[] {
  const items: Sendable[] = [];
  for (const item of iterable(fds, how.operation)) {
    items.push(item);
    if (items.length > how.limit) break;
  }
  return items;
}

function numberToSend(item: Exclude<Sendable, Fd> | undefined, how: Collecting): number {
  if (typeof item === 'number') return checkNumber(how.operation, item);
  if (isLendable(item)) return item[lend](how.operation, 'lend');
  return numberOf(how.operation, item, 'lend', how.unread);
}

function checkMovable(item: Sendable, fds: readonly Sendable[], how: Collecting): void {
  const first = fds.indexOf(item);
  if (first < 0) throw invalidTransfer(how, `${shown(item)} is not among fds. List it there too`);
  if (fds.indexOf(item, first + 1) >= 0)
    throw invalidTransfer(how, `${shown(item)} is listed twice and can move once. Send a duplicate()`);
  movableNumber(item, how.operation, how.unread);
}

function movableNumber(item: Sendable, operation: string, unread: boolean): number {
  if (item instanceof Fd) return needNumber(operation, item);
  if (isLendable(item)) return item[lend](operation, 'move');
  return numberOf(operation, item, 'move', unread);
}

function isLendable(item: unknown): item is Lendable {
  return typeof item === 'object' && item !== null && lend in item;
}

/** Grows by doubling, what is there kept. */
function roomFor(count: number, into: Int32Array): Int32Array {
  if (count < into.length) return into;
  const larger = new Int32Array(Math.max(count + 1, into.length * 2));
  larger.set(into);
  return larger;
}

function iterable(fds: Iterable<Sendable>, operation: string): Iterable<Sendable> {
  const isList = typeof (fds as Partial<Iterable<Sendable>> | null)?.[Symbol.iterator] === 'function';
  if (isList && typeof fds !== 'string') return fds;
  const message = `Cannot ${operation}: expected a list of descriptors, got ${shown(fds)}. Put a single one in brackets`;
  throw refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}

function tooMany({ operation, limit }: Collecting, given: number | undefined): Error {
  const message = `Cannot ${operation} ${given ?? `more than ${limit}`} descriptors in one message: the limit is ${limit}. Send several messages`;
  return refusal('ERR_FDPASS_TOO_MANY_FDS', message);
}

function invalidTransfer({ operation }: Collecting, why: string): Error {
  return refusal('ERR_FDPASS_INVALID_TRANSFER', `Cannot ${operation}: of transfer, ${why}`);
}
