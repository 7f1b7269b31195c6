import type { PreforkBinding } from './prefork/native-types.js';

/**
 * The functions that the binding registers as raw Node-API callbacks, for which the napi CLI generates no types
 * (`crates/fdpass-napi/src/raw/`). Declared by hand.
 *
 * Numbers of descriptors cross here and nowhere else. The binding keeps a ledger of the numbers that JavaScript holds in
 * this environment; they are closed when the environment ends while the process goes on (a worker thread). Every
 * function that returns a number enters it, every function that takes one away removes it.
 *
 * A refused system call throws an `Error` with `code`, `errno` (negative, as Node has it), `syscall`; `fromNative()` in
 * `errors.ts` makes an `FdpassError` of it.
 */
export interface RawBinding extends PreforkBinding {
  /** Closes one number and forgets it in the ledger. Never throws. */
  closeFd(fd: number): void;
  /** Closes `fds[from..to]`, consecutive numbers with one call; -1 is skipped. The entries become -1. Never throws. */
  closeMany(fds: Int32Array, from: number, to: number): void;
  /** Enters a number in the ledger: JavaScript owns it from now on. `false`: it was there already. */
  hold(fd: number): boolean;
  /** Removes a number from the ledger: someone else owns it from now on (Node, the user). */
  letGo(fd: number): void;

  /** `read(2)` at the descriptor's position. @returns how many bytes came, 0 at the end */
  readFd(fd: number, into: Uint8Array): number;
  /** `write(2)` at the descriptor's position. @returns how many bytes were taken */
  writeFd(fd: number, from: Uint8Array): number;

  /**
   * Gives the arrays that messages use, once: `fds` to send (room for 253), `into` for the bytes and `slots` for the
   * descriptors that arrive (room for 254), and `sheet` ({@link SHEET}) for everything that is a number, both ways.
   * `outgoing` has the bytes that `channelSendHere` sends. Looking an array up costs as much as the rest of a call, and
   * three arguments as much as well.
   */
  messageSetup(
    fds: Int32Array,
    into: Uint8Array,
    slots: Int32Array,
    sheet: Int32Array,
    outgoing: Uint8Array,
  ): void;
  /** Gives the array into which short messages are copied from now on, in place of the last one. */
  messagePool(pool: Uint8Array): void;
  /**
   * One `sendmsg` of `data` with the first `count` of the registered `fds`. How many bytes were taken is in the sheet.
   */
  sendHere(data: Uint8Array): void;
  /** As `sendHere`, with the numbers in an array of the caller's. */
  sendMessage(data: Uint8Array, fds: Int32Array): void;
  /**
   * One `recvmsg` into the registered arrays. Never throws for a truncation: it is in the sheet, and what came is the
   * caller's. A surplus over `count` descriptors is closed.
   */
  receiveHere(): void;
  /** As `receiveHere`, the bytes into an array of the caller's. */
  receiveMessage(into: Uint8Array): void;

  /**
   * Prepares this environment for channels; once, before the first `channelOpen`.
   *
   * `engine`: 0 polls on libuv's loop (Node, Electron), 1 polls on a thread (Bun, Deno).
   * `slab` receives the bytes of a batch, `fds` its descriptors, `meta` one record of {@link RECORD} integers a message,
   * its last integer is the acknowledge word: the first statement of `onBatch` sets it to 1, or the descriptors of the
   * batch are closed by the binding because JavaScript never ran.
   *
   * `onBatch(handle, count, big, bigFds)`: `count` complete messages of one channel, in order. `big` holds the bytes of a
   * message that does not fit the slab (its record has offset -1); at most one in a batch. `bigFds` holds the descriptors of
   * a message that has more than `fds` holds (its record has fdOffset -1); at most one, and it is the last record.
   * `onEvent(handle, event, a, b)`: see {@link ChannelEvent}.
   *
   * @returns how many descriptors a channel may have in its hands without using up what the process may have open
   */
  channelSetup(
    engine: number,
    slab: Uint8Array,
    meta: Int32Array,
    fds: Int32Array,
    onBatch: (
      handle: number,
      count: number,
      big: Uint8Array | undefined,
      bigFds: Int32Array | undefined,
    ) => void,
    onEvent: (handle: number, event: number, a: number, b: unknown) => void,
  ): number;
  /**
   * Opens a framed channel on `fd` (moved, also out of the ledger; not moved when this throws). `numbers` holds
   * {@link ChannelConfig}. It starts paused (no readiness for reading) and referenced.
   *
   * @returns the handle: a small positive integer
   */
  channelOpen(fd: number, numbers: Float64Array): number;
  /**
   * Sends a message. `flags`: {@link SEND_ACK}, {@link SEND_MOVE} (the numbers are the channel's from now on, also out of
   * the ledger; nothing is moved when this throws).
   *
   * @returns the message id when it was written whole, minus the id when (part of) it is queued
   */
  channelSend(handle: number, data: Uint8Array, fds: Int32Array, count: number, flags: number): number;
  /** As `channelSend`: `length` bytes of the registered `outgoing`, `count` of the registered `fds` ({@link SEND_SHEET}). */
  channelSendHere(): number;
  /** From inside `onBatch`: closes what is left of the descriptors in the registered `fds`. */
  channelCloseBatch(): void;
  /** Takes a queued message back, if no byte of it has left. Its descriptors are closed. */
  channelAbort(handle: number, id: number): boolean;
  /** Starts (true) or stops (false) reading. Messages that are buffered come by `onBatch` later, never from inside this call. */
  channelRead(handle: number, on: boolean): void;
  /** Whether an open channel keeps the process alive. */
  channelRef(handle: number, on: boolean): void;
  /** Flushes, says goodbye, drains; `ChannelEvent.closed` follows. */
  channelClose(handle: number): void;
  /** Closes everything at once; no event follows. Idempotent; the handle is dead. */
  channelDestroy(handle: number): void;
  /** Whether nothing was sent on the channel, and nothing received from it, by any thread. */
  channelIsUntouched(handle: number): boolean;
  /** The number of the channel's socket, for a look (`peer`, `describe`) that does not outlive the call. */
  channelSocket(handle: number): number;
  /** Whether the queue is above its high-water mark. */
  channelIsAbove(handle: number): boolean;
  /** Parks a live channel for another thread, for `lifetime` milliseconds; the handle is dead. @returns the token */
  channelPark(handle: number, lifetime: number): number;
  /** Claims a parked channel: paused, referenced. Needs `channelSetup` before, as `channelOpen`. @returns the handle */
  channelClaim(token: number): number;

  /**
   * Has `onReady` called while `fd` is readable (level-triggered); a private duplicate is polled. `engine` as in
   * `channelSetup`. @returns a watch, referenced
   */
  watchStart(fd: number, onReady: () => void, engine: number): number;
  /** Whether the watch keeps the process alive. */
  watchRef(watch: number, on: boolean): void;
  /** No call follows. A dead watch is ignored. */
  watchStop(watch: number): void;
}

/** A message of `receiveHere` with at most so many bytes is copied into the pool. */
export const SHORT_BYTES = 256;

/** The integers of `sheet`: what a call of `sendHere` and its like is asked, and what a receive answers. */
export const SHEET = {
  /** Asked: the descriptor of the socket. */
  socket: 0,
  /** Asked: what `socketKind()` returned for it, or 0 to have it checked. */
  kind: 1,
  /** Asked: how many descriptors to send, or how many are wanted. */
  count: 2,
  /** Asked: -1 as the descriptor is set, 0 never waits, else milliseconds. */
  timeout: 3,
  /** Asked: where in the pool there is room for a short message. */
  pooled: 4,
  /** How many bytes were taken, or came; -1 at the end of a stream. */
  bytes: 5,
  /** How many descriptors are in `slots`. */
  fds: 6,
  /**
   * Bits: 1 data truncated, 2 surplus, 4 descriptor limit, 8 refused, 16 credentials or a process descriptor came. When it
   * is 0, nothing below is to be looked at.
   */
  flags: 7,
  /** How many descriptors arrived, closed ones included. */
  arrived: 8,
  /** How many were sent, or -1 when the kernel does not tell. */
  sent: 9,
  /** 1 when the three below hold the sender's credentials. */
  hasCredentials: 10,
  pid: 11,
  uid: 12,
  gid: 13,
  /** A process descriptor of the sender (in the ledger), or -1. */
  pidfd: 14,
  length: 15,
} as const;

/** The integers of `sheet` that `channelSendHere` is asked. */
export const SEND_SHEET = { handle: 0, length: 1, count: 2, flags: 3 } as const;

/** Integers of one message in the `meta` of a batch. */
export const RECORD = {
  /** Where its bytes begin in the slab, or -1: they are `big`. */
  offset: 0,
  length: 1,
  /** Where its descriptors begin in `fds`. */
  fdOffset: 2,
  fdCount: 3,
  /** 0 whole; else {@link DAMAGE}. */
  damage: 4,
  /** Damaged: how many descriptors were sent, how many came. */
  sent: 5,
  received: 6,
  /** The process that sent it, or -1: the kernel was not asked, and the two below mean nothing. */
  pid: 7,
  uid: 8,
  gid: 9,
  size: 10,
} as const;

/** Why a message is damaged: code of its error. */
export const DAMAGE = { none: 0, truncated: 1, refused: 2, tooMany: 3, tooLarge: 4, withdrawn: 5 } as const;

export const SEND_ACK = 1;
export const SEND_MOVE = 2;

/** Numbers in the argument of `channelOpen`, in this order. 0 takes the default. -1: of `maxMessage…` nothing passes, of queues
 * and time-outs there is no limit. Times are milliseconds. */
export const ChannelConfig = {
  codec: 0,
  maxMessageBytes: 1,
  maxMessageFds: 2,
  highWaterBytes: 3,
  highWaterMessages: 4,
  highWaterFds: 5,
  mostBytes: 6,
  mostMessages: 7,
  mostFds: 8,
  stallTimeout: 9,
  ackTimeout: 10,
  closeTimeout: 11,
  /** Bit n set: a descriptor of `FD_KINDS[n]` is accepted. -1: all are. */
  acceptKinds: 12,
  /** 1: the number never left this library (`connectUnix`, `acceptUnix`, `socketPair`), so it is polled itself and not a copy. */
  ours: 13,
  /** 1: the kernel is asked who sent each message. */
  credentials: 14,
  length: 15,
} as const;

/** The kinds of descriptors in the order of their bits. */
export const FD_KINDS = [
  'file',
  'directory',
  'pipe',
  'tty',
  'tcp',
  'udp',
  'unix',
  'memfd',
  'pidfd',
  'eventfd',
  'epoll',
  'device',
  'unknown',
] as const;

/** The `event` of `onEvent`, with its `a` and `b`. */
export const ChannelEvent = {
  /** The queue fell below the high-water mark. */
  drain: 1,
  /** Every accepted message up to id `a` has left (or failed, or was taken back). */
  written: 2,
  /** Every acknowledged message up to id `a` has arrived. */
  acknowledged: 3,
  /** The message with id `a` failed with the error `b`. */
  failed: 4,
  /** The peer said goodbye and its stream ended: no more messages. */
  end: 5,
  /** The channel is broken by the error `b`; nothing follows but your `channelDestroy`. */
  error: 6,
  /** `channelClose` is through; the handle is dead. */
  closed: 7,
  /** The kernel has no room for descriptors now; they wait. `b` is the name of the errno. */
  pressure: 8,
  /** Nothing can be written any more because of the error `b`: of what was accepted, only what is up to id `a` has left. */
  unwritable: 9,
} as const;
