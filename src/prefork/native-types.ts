/** The functions of the binding for managers and workers (`crates/fdpass-napi/src/prefork/`). Declared by hand. */
export interface PreforkBinding {
  /**
   * A listening TCP socket, in the ledger. `host`: a numeric address in ASCII. `flags`: 1 reuse the port, 2 IPv6 only,
   * 4 without `TCP_NODELAY`. `deferAccept`: seconds, or 0.
   */
  listenTcp(host: Uint8Array, port: number, backlog: number, flags: number, deferAccept: number): number;

  /**
   * A manager without listeners and workers. `config`: {@link PreforkConfig}. `onEvent(kind, number, what, fds)`: see
   * {@link PreforkEvent}. `onDecide(count, records, seen)`: {@link DECISION} integers for each connection; the last is
   * written by JavaScript. `engine` as in `channelSetup`.
   */
  preforkOpen(
    config: Float64Array,
    onEvent: (kind: number, number: number, what: unknown, fds: Int32Array | Error | undefined) => void,
    onDecide: (count: number, records: Int32Array, seen: Uint8Array) => void,
    engine: number,
  ): number;
  /** Moves a listening socket in (out of the ledger). @returns its number */
  preforkListen(handle: number, fd: number, enabled: boolean): number;
  preforkEnable(handle: number, listener: number, on: boolean): void;
  preforkUnlisten(handle: number, listener: number): void;
  /** Moves the manager's end of a worker's socket in. @returns the worker's id */
  preforkHire(handle: number, fd: number, index: number, weight: number): number;
  /** The worker's process has ended. */
  preforkDied(handle: number, worker: number): void;
  preforkDrain(handle: number, worker: number, handBack: boolean, milliseconds: number): void;
  /** Lends the descriptors. */
  preforkSend(handle: number, worker: number, data: Uint8Array, fds: Int32Array, count: number): void;
  preforkGive(handle: number, worker: number, listeners: Int32Array): void;
  preforkAdmission(handle: number, rate: number, burst: number, addresses: number): void;
  /** accepted, refused, dropped, reassigned, replayed, closed, moved, held, waiting, accepting */
  preforkTotals(handle: number, into: Float64Array): void;
  /** given, active, in flight, ready, available, sum and maximum of hand-off times in µs, load. `false`: not there */
  preforkStats(handle: number, worker: number, into: Float64Array): boolean;
  preforkClose(handle: number): void;

  /**
   * The worker's end (moved, out of the ledger). `records` receives {@link GIVEN} integers for each connection, whose
   * descriptors are JavaScript's and in no ledger. `onOrder(kind, a, b, data, fds)`: see {@link WorkerOrder}.
   */
  workerOpen(
    fd: number,
    records: Int32Array,
    onConnections: (count: number, prefixes: Uint8Array | undefined) => void,
    onOrder: (kind: number, a: number, b: number, data: unknown, fds: Int32Array | Error | undefined) => void,
    engine: number,
  ): number;
  /** The calls below return `false` when the manager is gone; its end is told by {@link WorkerOrder}. */
  workerReady(handle: number): boolean;
  /** Lends the listening sockets. `false`: connections that were accepted from them die with this process. */
  workerKeep(handle: number, listeners: Int32Array): boolean;
  workerClosed(handle: number, slots: Int32Array, count: number): boolean;
  workerRelease(handle: number, slot: number, to: number, prefix: Uint8Array): boolean;
  workerReport(handle: number, load: number): boolean;
  workerDrained(handle: number): boolean;
  /** Lends the descriptors. */
  workerSend(handle: number, to: number, data: Uint8Array, fds: Int32Array, count: number): void;
  workerClose(handle: number): void;
}

/** Numbers in the argument of `preforkOpen`. 0 takes the default. */
export const PreforkConfig = {
  policy: 0,
  replay: 1,
  maxInFlight: 2,
  maxConnections: 3,
  watchdog: 4,
  alwaysBeat: 5,
  waitTimeout: 6,
  maxWaiting: 7,
  peekBytes: 8,
  peekTimeout: 9,
  ask: 10,
  length: 11,
} as const;

/** The `kind` of `onEvent`. `number` is the worker's id unless said otherwise. */
export const PreforkEvent = {
  ready: 1,
  drained: 2,
  suspect: 3,
  recovered: 4,
  hung: 5,
  /** `what`: the error, or `undefined` when the worker closed the channel. */
  channelEnded: 6,
  /** `what`: the bytes. `fds`: the error, of a message that lost them. */
  message: 7,
  /** `what`: the name of the errno. */
  pressure: 8,
  /** `number`: the listener. `what`: the name of the errno. */
  listenerFailed: 9,
  saturated: 10,
  accepting: 11,
  /** `what`: reassigned, replayed, closed. */
  inherited: 12,
} as const;

/** Integers of one connection to be decided. */
export const DECISION = {
  slot: 0,
  listener: 1,
  /** family (0, 4, 6), port, four words of the address */
  peer: 2,
  seen: 8,
  /**
   * -1, or -3 for one that was admitted before: its worker died or handed it back. Written by JavaScript: a worker's index,
   * -1 (or as it was) whoever the policy chooses, -2 nobody.
   */
  answer: 9,
  size: 10,
} as const;

/** Integers of one connection that a worker gets. */
export const GIVEN = { fd: 0, slot: 1, listener: 2, peer: 3, prefix: 9, size: 10 } as const;

/** The `kind` of `onOrder`. */
export const WorkerOrder = {
  /** Accept from the descriptor `b`, listener `a`. */
  accept: 1,
  /** Finish within `b` milliseconds; `a`: 1 hand back what is idle. */
  drain: 2,
  /** From worker `a` (-1: the manager), bytes in `data`. `fds`: the error, of a message that lost them. */
  message: 3,
  /** `a` connections did not arrive for want of descriptors; they went back. */
  lost: 4,
  /** The manager is gone. `data`: the error, if there was one. */
  end: 5,
} as const;

export const TO_MANAGER = -1;
export const TO_ALL = -2;
export const TO_ANY = -1;
