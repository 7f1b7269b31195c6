import { checkOptions, checkSignal } from '../check-options.js';
import type { Wire } from '../codec.js';
import { AbortError, type FdpassError, fromNative, refusal } from '../errors.js';
import { FdList } from '../fd-list.js';
import { native } from '../native.js';
import { SEND_ACK, SEND_MOVE, SEND_SHEET } from '../native-types.js';
import { type Collecting, collect, listed, Move, numbers, type Sendable } from '../sendable.js';
import { outgoing, sheet, usual } from '../shared-arrays.js';

/** How one message is sent. */
export interface SendOptions {
  /** Moves all descriptors, or those listed: they are the channel's as soon as it accepts the message. */
  readonly transfer?: boolean | Iterable<Sendable>;
  /** Waits until the peer has them all; rejects with `ERR_FDPASS_PEER_*` when it could not take them. */
  readonly ack?: boolean;
  /** Takes the message back, as long as none of it has left. */
  readonly signal?: AbortSignal;
}

/** A send whose promise waits. */
interface Sending {
  settle(error?: Error): void;
}

// Looked up once: the object of the binding is a slow one.
const { channelSend, channelSendHere } = native;
const { handle: HANDLE, length: LENGTH, count: COUNT, flags: FLAGS } = SEND_SHEET;

/** More than any peer accepts; the true limit is the peer's, and the core knows it. */
const MOST_DESCRIPTORS = 1 << 20;
const sending: Collecting = { operation: 'send', limit: MOST_DESCRIPTORS, unread: false };

const NO_NUMBERS: Int32Array = new Int32Array(0);
const PLAIN: SendOptions = {};
const DONE: Promise<void> = Promise.resolve();

/** The sending half of a channel: what a message carries, and the promises of those under way. */
export class Outbox<T> {
  #handle: number;
  readonly #wire: Wire<T>;
  /** By id, which rise: what is settled through an id is at the front. */
  #queued: Map<number, Sending> | undefined;
  #unacknowledged: Map<number, Sending> | undefined;

  constructor(handle: number, wire: Wire<T>) {
    this.#handle = handle;
    this.#wire = wire;
  }

  /** The channel is over, or elsewhere: its handle may be another one's. A message that is being collected is refused. */
  forgetHandle(): void {
    this.#handle = -1;
  }

  /** Whether promises wait. */
  get isWaiting(): boolean {
    return (this.#queued?.size ?? 0) > 0 || (this.#unacknowledged?.size ?? 0) > 0;
  }

  /** Whether the peer owes an acknowledgement. */
  get awaitsAcknowledgement(): boolean {
    return (this.#unacknowledged?.size ?? 0) > 0;
  }

  /** Whether there is room for more before the high-water mark. */
  post(value: T, fds: Iterable<Sendable> | undefined): boolean {
    const id = this.#write(value, fds, 0);
    return id > 0 || !native.channelIsAbove(this.#handle);
  }

  send(
    value: T,
    fds: Iterable<Sendable> | undefined,
    options: SendOptions | undefined = PLAIN,
  ): Promise<void> {
    try {
      if (options !== PLAIN) checkOptions('send', options);
      const { transfer, ack, signal } = options;
      checkSignal('send', signal);
      const flags = ack ? SEND_ACK : 0;
      const id = transfer ? this.#writeMoving(value, fds, transfer, flags) : this.#write(value, fds, flags);
      if (ack) {
        this.#unacknowledged ??= new Map();
        return this.#wait(this.#unacknowledged, Math.abs(id), signal);
      }
      if (id > 0) return DONE;
      this.#queued ??= new Map();
      return this.#wait(this.#queued, -id, signal);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  /** Everything up to `id` has left, failed or was taken back. */
  written(id: number): void {
    settleThrough(this.#queued, id);
  }

  /** Everything up to `id` that wants an acknowledgement has it. */
  acknowledged(id: number): void {
    settleThrough(this.#unacknowledged, id);
  }

  /** Whether somebody waited for the message that failed. */
  failed(id: number, error: FdpassError): boolean {
    for (const waiting of [this.#queued, this.#unacknowledged]) {
      const found = waiting?.get(id);
      if (found === undefined) continue;
      waiting?.delete(id);
      found.settle(error);
      return true;
    }
    return false;
  }

  /** The channel is over: nothing will be known of those that wait. */
  failAll(error: Error): void {
    const waiting = [...(this.#queued?.values() ?? []), ...(this.#unacknowledged?.values() ?? [])];
    this.#queued = undefined;
    this.#unacknowledged = undefined;
    for (const one of waiting) one.settle(error);
  }

  /** The peer has left: nothing more will be acknowledged. */
  failUnacknowledged(error: Error): void {
    failThose(this.#unacknowledged, error);
  }

  /** Nothing can be written any more, and what has left is all up to `id`. */
  failAbove(id: number, error: Error): void {
    failThose(this.#queued, error, id);
    failThose(this.#unacknowledged, error, id);
  }

  /** Encoding comes first: it runs code of the user, who may send another message meanwhile. */
  #write(value: T, fds: Iterable<Sendable> | undefined, flags: number): number {
    if (this.#wire.fromBytes !== undefined) return this.#writeCustom(value, fds, undefined, flags);
    const bytes = this.#wire.toBytes(value, undefined);
    return this.#give(bytes, fds, flags);
  }

  #writeMoving(
    value: T,
    fds: Iterable<Sendable> | undefined,
    transfer: true | Iterable<Sendable>,
    flags: number,
  ): number {
    if (this.#wire.fromBytes !== undefined) return this.#writeCustom(value, fds, transfer, flags);
    const bytes = this.#wire.toBytes(value, undefined);
    return this.#giveMoving(bytes, listed(fds, sending), transfer, flags);
  }

  /** A codec that puts descriptors into values adds them to those of the caller. */
  #writeCustom(
    value: T,
    fds: Iterable<Sendable> | undefined,
    transfer: true | Iterable<Sendable> | undefined,
    flags: number,
  ): number {
    const items = [...looks(listed(fds, sending))];
    const bytes = this.#wire.toBytes(value, items);
    return transfer === undefined
      ? this.#give(bytes, items, flags)
      : this.#giveMoving(bytes, items, transfer, flags);
  }

  #giveMoving(
    bytes: Uint8Array,
    items: readonly Sendable[] | FdList,
    transfer: true | Iterable<Sendable>,
    flags: number,
  ): number {
    const move = Move.plan(items, transfer, sending);
    // Given away by number, a message that must wait needs no copies: there may be no free number for them.
    if (move.takes(items)) {
      const id = this.#give(bytes, items, flags | SEND_MOVE);
      move.surrender();
      return id;
    }
    const id = this.#give(bytes, items, flags);
    move.complete();
    return id;
  }

  #give(bytes: Uint8Array, fds: Iterable<Sendable> | undefined, flags: number): number {
    const count = fds === undefined ? 0 : collect(fds, sending);
    try {
      if (bytes.length <= outgoing.length && (count === 0 || numbers === usual))
        return this.#giveShort(bytes, count, flags);
      return channelSend(this.#handle, bytes, count === 0 ? NO_NUMBERS : numbers, count, flags);
    } catch (thrown) {
      throw fromNative(thrown);
    }
  }

  #giveShort(bytes: Uint8Array, count: number, flags: number): number {
    outgoing.set(bytes);
    sheet[HANDLE] = this.#handle;
    sheet[LENGTH] = bytes.length;
    sheet[COUNT] = count;
    sheet[FLAGS] = flags;
    return channelSendHere();
  }

  #wait(waiting: Map<number, Sending>, id: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        // Once its first byte has left, the promise tells what became of it.
        if (!native.channelAbort(this.#handle, id)) return;
        waiting.delete(id);
        reject(new AbortError(signal as AbortSignal));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      waiting.set(id, {
        settle(error) {
          signal?.removeEventListener('abort', onAbort);
          if (error === undefined) resolve();
          else reject(error);
        },
      });
      // Code of the user that ran while the message was collected may have aborted: no event follows.
      if (signal?.aborted) onAbort();
    });
  }
}

/** What a send on a closed channel rejects with. */
export function channelClosed(operation: string): FdpassError {
  return refusal('ERR_FDPASS_CLOSED', `Cannot ${operation}: the channel is closed`);
}

/** The descriptors of another message one by one: they stay in its list. */
function looks(items: readonly Sendable[] | FdList): Iterable<Sendable> {
  return items instanceof FdList
    ? Array.from({ length: items.length }, (_, index) => items.at(index))
    : items;
}

function failThose(waiting: Map<number, Sending> | undefined, error: Error, above = 0): void {
  for (const [id, one] of waiting ?? []) {
    if (id <= above) continue;
    waiting?.delete(id);
    one.settle(error);
  }
}

function settleThrough(waiting: Map<number, Sending> | undefined, last: number): void {
  if (waiting === undefined) return;
  for (const [id, one] of waiting) {
    if (id > last) return;
    waiting.delete(id);
    one.settle();
  }
}
