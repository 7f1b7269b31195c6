import { channel as diagnostics } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { calling, refusal } from '../errors.js';
import { ownNumber } from '../fd.js';
import { native } from '../native.js';
import { runtime } from '../runtime.js';
import { collect, numbers, type Sendable } from '../sendable.js';
import { decide, type Undecided } from './decide.js';
import type { ManagerEvents } from './events.js';
import { Figures } from './figures.js';
import { Member } from './member.js';
import { PreforkEvent } from './native-types.js';
import {
  checkCount,
  configOf,
  type ManagerOptions,
  MOST_WORKERS,
  type Settings,
  settingsOf,
} from './options.js';
import { Places } from './places.js';
import { newSeat, pauseAfter, type Seat } from './seat.js';
import { onSignals } from './signals.js';
import type { ManagerStats } from './stats.js';

const ENGINE = runtime === 'node' ? 0 : 1;
/** How long a worker that was told to end has before it is killed. */
const GRACE = 2000;
/** How often a worker may end before it is ready while `start` waits. */
const START_ATTEMPTS = 3;

const lifeCycle = diagnostics('fdpass:prefork');

/**
 * Accepts connections and gives them to worker processes; see `docs/prefork.md`.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { isWorker, Manager, serve } from 'fdpass/prefork';
 *
 * if (isWorker()) {
 *   serve(createServer((_request, response) => response.end(`Hello from ${process.pid}\n`)));
 * } else {
 *   const manager = new Manager({ listen: { port: 0 }, workers: 2, worker: new URL(import.meta.url) });
 *   await manager.start();
 *   const response = await fetch(`http://localhost:${manager.port}/`);
 *   console.log(await response.text());
 *   await manager.stop();
 * }
 * ```
 */
export class Manager extends EventEmitter<ManagerEvents> implements AsyncDisposable {
  readonly #settings: Settings;
  #handle = 0;
  #state: 'new' | 'running' | 'stopping' | 'stopped' = 'new';
  readonly #places = new Places();
  #seats: Seat[] = [];
  readonly #members = new Map<number, Member>();
  readonly #figures = new Figures();
  #stopped: Promise<void> | undefined;
  #reloading: Promise<void> | undefined;
  #lastTotals: ManagerStats | undefined;
  #unhook: () => void = () => undefined;

  /** @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT`, `ERR_FDPASS_UNSUPPORTED` — a wrong option */
  constructor(options: ManagerOptions) {
    super();
    this.#settings = settingsOf(options);
  }

  /** Where it listens: `host:port` or the path, by name. */
  get addresses(): readonly { name: string; address: string; port: number | undefined }[] {
    return this.#places.addresses;
  }

  /** The port of the first TCP listener. */
  get port(): number | undefined {
    return this.#places.addresses.find((place) => place.port !== undefined)?.port;
  }

  /** How many workers there shall be. */
  get size(): number {
    return this.#seats.length;
  }

  /**
   * Listens and starts the workers; resolves when all are ready.
   *
   * @throws {FdpassError} `EADDRINUSE`, `EACCES`, … — an address cannot be listened at
   * @throws {FdpassError} `ERR_FDPASS_WORKER` — a worker ended before it was ready, three times
   * @throws {FdpassError} `ERR_FDPASS_BUSY` — it was started before
   * @throws {FdpassError} `ERR_FDPASS_CLOSED` — it was stopped meanwhile
   */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw refusal('ERR_FDPASS_BUSY', 'Cannot start the manager twice');
    this.#state = 'running';
    const settings = this.#settings;
    try {
      await this.#places.open(settings);
      this.#needRunning('start');
      this.#open();
      for (let index = 0; index < settings.workers; index++) this.#seats.push(this.#newSeat(index));
      for (const seat of this.#seats) this.#hire(seat);
      await Promise.all(this.#seats.map((seat) => this.#started(seat)));
      this.#needRunning('start');
      if (settings.signals === true) this.#unhook = onSignals(this);
    } catch (error) {
      await this.stop({ timeout: 0 });
      // Stopped before it listened anywhere.
      this.#places.remove();
      throw error;
    }
  }

  /**
   * Stops accepting, lets workers finish what they have, and ends them; what is not finished in time is cut.
   * `timeout`: milliseconds (`drainTimeout`).
   */
  stop({ timeout = this.#settings.drainTimeout }: { timeout?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(timeout);
    return this.#stopped;
  }

  /** The same as `stop()`. */
  drain(options?: { timeout?: number }): Promise<void> {
    return this.stop(options);
  }

  /** Stops at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * Starts a new worker for each, and when all are ready the old ones finish: idle keep-alive connections move to the new
   * workers, the others get `Connection: close` or, at the end of `drainTimeout`, are cut. Resolves when the new workers
   * serve; the old ones may still finish.
   *
   * @throws {FdpassError} `ERR_FDPASS_WORKER` — a new worker did not become ready: the old ones go on as before
   * @throws {FdpassError} `ERR_FDPASS_CLOSED` — not started, or stopped meanwhile
   */
  reload(): Promise<void> {
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    return this.#reloading;
  }

  /**
   * Changes how many workers there are. Resolves when new ones are ready; surplus ones finish on their own.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — not from 1 to 1,024
   * @throws {FdpassError} `ERR_FDPASS_CLOSED` — not started, or stopped
   * @throws {FdpassError} `ERR_FDPASS_WORKER` — a new worker ended before it was ready, three times
   */
  async scale(workers: number): Promise<void> {
    checkCount('workers', workers, 1, MOST_WORKERS);
    this.#needRunning('scale');
    const added: Seat[] = [];
    while (this.#seats.length < workers) {
      const seat = this.#newSeat(this.#seats.length);
      this.#seats.push(seat);
      this.#hire(seat);
      added.push(seat);
    }
    for (const seat of this.#seats.splice(workers)) this.#retire(seat);
    await Promise.all(added.map((seat) => this.#started(seat)));
  }

  /**
   * Sends a message to the worker at `index`; lends the descriptors.
   *
   * @throws {FdpassError} `ERR_FDPASS_PEER_GONE` — that worker is not running
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE`, `ERR_FDPASS_FD_CLOSED`, `EBADF` — a descriptor cannot be lent
   * @throws {FdpassError} `ERR_FDPASS_TOO_MANY_FDS` — more than 253
   */
  send(index: number, data: Uint8Array | string, fds: Iterable<Sendable> = []): void {
    const member = this.#seats[index]?.member;
    if (member === undefined)
      throw refusal('ERR_FDPASS_PEER_GONE', `Cannot send to worker ${index}: it is not running`);
    const count = collect(fds, { operation: 'send', limit: 253, unread: false });
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    calling(() => native.preforkSend(this.#handle, member.id, bytes, numbers, count));
  }

  /** Figures of the manager and of each worker. */
  stats(): ManagerStats {
    if (this.#handle === 0 && this.#lastTotals !== undefined) return this.#lastTotals;
    return this.#figures.all(this.#handle, this.#seats);
  }

  #open(): void {
    const { admit, strategy } = this.#settings;
    this.#handle = calling(() =>
      native.preforkOpen(
        configOf(this.#settings),
        (kind, number, what, fds) => this.#onEvent(kind, number, what, fds),
        (count, records, seen) => this.#onDecide({ count, records, seen }),
        ENGINE,
      ),
    );
    if (typeof admit === 'object')
      native.preforkAdmission(this.#handle, admit.rate, admit.burst, admit.addresses ?? 65_536);
    if (strategy === 'push') this.#places.enter(this.#handle);
  }

  #newSeat(index: number): Seat {
    return newSeat(index, this.#settings.strategy === 'kernel' ? this.#places.forSeat(this.#handle) : []);
  }

  #start(seat: Seat): Member {
    const facts = {
      index: seat.index,
      strategy: this.#settings.strategy,
      listeners: this.#places.addresses.map(({ name }) => name),
    };
    const member = Member.start(this.#handle, facts, this.#settings);
    this.#members.set(member.id, member);
    // A process that could not be started has no 'exit'.
    if (member.pid === undefined) setImmediate(() => this.#onExit(seat, member, null, null));
    else member.child.once('exit', (code, signal) => this.#onExit(seat, member, code, signal));
    member.after(this.#settings.readyTimeout, () => {
      if (member.state === 'starting') member.kill();
    });
    if (seat.listeners.length > 0)
      native.preforkGive(this.#handle, member.id, Int32Array.from(seat.listeners));
    return member;
  }

  #hire(seat: Seat): void {
    seat.timer = undefined;
    try {
      seat.member = this.#start(seat);
    } catch (error) {
      // At the descriptor limit: workers that end, and connections that close, make room.
      this.emit('pressure', (error as NodeJS.ErrnoException).code ?? 'UNKNOWN');
      seat.crashes += 1;
      seat.failure = error as Error;
      seat.timer = setTimeout(() => this.#hire(seat), this.#settings.respawn.delay);
    }
  }

  /** The first readiness of a seat. */
  async #started(seat: Seat): Promise<void> {
    while (this.#state === 'running') {
      const { member } = seat;
      if (member !== undefined && (await member.ready)) return;
      if (seat.crashes >= START_ATTEMPTS) throw notReady(seat.index, seat.crashes, seat.failure);
      if (this.#seats[seat.index] !== seat) return;
      if (member === seat.member) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #onExit(seat: Seat, member: Member, code: number | null, signal: NodeJS.Signals | null): void {
    if (member.state === 'dead') return;
    const { state } = member;
    if (this.#handle !== 0) {
      // The manager serves the queue of the dead one's sockets.
      this.#accept(member, true);
      native.preforkDied(this.#handle, member.id);
    }
    member.buried();
    this.#members.delete(member.id);
    this.#exits.set(member.id, { index: seat.index, pid: member.pid, code, signal });
    if (seat.member !== member) return;
    seat.member = undefined;
    seat.failure = member.failure;
    if (this.#state !== 'running' || this.#seats[seat.index] !== seat || state === 'draining') return;
    this.#respawn(seat, state === 'ready');
  }

  /** Ends of workers whose inheritance was not told yet, by the binding's name of them. */
  readonly #exits = new Map<
    number,
    { index: number; pid: number | undefined; code: number | null; signal: NodeJS.Signals | null }
  >();

  #respawn(seat: Seat, wasReady: boolean): void {
    const { respawn } = this.#settings;
    seat.restarts += 1;
    seat.crashes = wasReady ? 0 : seat.crashes + 1;
    if (seat.crashes === 0) {
      this.#hire(seat);
      return;
    }
    if (seat.crashes === respawn.maxCrashes) this.emit('crashLoop', { index: seat.index });
    seat.timer = setTimeout(() => this.#hire(seat), pauseAfter(seat.crashes, respawn));
  }

  /** Whether the manager accepts from the sockets of a worker itself (strategy `kernel`). */
  #accept(member: Member, on: boolean): void {
    const seat = this.#seats[member.index];
    if (seat?.member !== member) return;
    for (const listener of seat.listeners) native.preforkEnable(this.#handle, listener, on);
  }

  /** A seat is given up: its worker finishes, idle connections go to others. */
  #retire(seat: Seat): void {
    clearTimeout(seat.timer);
    this.#places.takeBack(this.#handle, seat.listeners);
    if (seat.member !== undefined) this.#finish(seat.member, true, this.#settings.drainTimeout);
  }

  #finish(member: Member, handBack: boolean, timeout: number): void {
    if (member.state === 'dead') return;
    if (member.state === 'starting') {
      member.kill();
      return;
    }
    member.state = 'draining';
    try {
      native.preforkDrain(this.#handle, member.id, handBack, timeout);
    } catch {
      // Its channel is over: nothing is left to tell it.
      member.end(GRACE);
      return;
    }
    member.after(timeout + 50, () => member.end(GRACE));
  }

  async #reload(): Promise<void> {
    this.#needRunning('reload');
    const fresh: [Seat, Member][] = [];
    try {
      for (const seat of [...this.#seats]) fresh.push([seat, this.#start(seat)]);
      await Promise.all(fresh.map(([, { ready }]) => ready));
      this.#needRunning('reload');
      // One that was ready may have ended while another one started.
      const failed = fresh.find(([, { state }]) => state === 'dead');
      if (failed !== undefined) throw notReady(failed[0].index, 1, failed[1].failure);
    } catch (error) {
      for (const [, member] of fresh) member.kill();
      throw error;
    }
    for (const [seat, member] of fresh) {
      if (this.#seats[seat.index] !== seat) {
        // Scaled down meanwhile: the seat was given up, and its sockets may be another one's.
        this.#finish(member, true, this.#settings.drainTimeout);
        continue;
      }
      const old = seat.member;
      clearTimeout(seat.timer);
      seat.member = member;
      seat.crashes = 0;
      for (const listener of seat.listeners) native.preforkEnable(this.#handle, listener, false);
      if (old !== undefined) this.#finish(old, true, this.#settings.drainTimeout);
    }
    this.emit('reloaded');
  }

  async #stop(timeout: number): Promise<void> {
    const before = this.#state;
    this.#state = 'stopping';
    this.#unhook();
    for (const seat of this.#seats) clearTimeout(seat.timer);
    if (this.#handle !== 0) {
      this.#places.close(this.#handle);
      const members = [...this.#members.values()];
      for (const member of members) {
        if (timeout > 0) this.#finish(member, false, timeout);
        else member.kill();
      }
      await Promise.all(members.map((member) => member.ended));
      // What the last ones left is told before the end.
      await new Promise((resolve) => setImmediate(resolve));
      while (this.#exits.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      this.#lastTotals = this.stats();
      native.preforkClose(this.#handle);
      this.#handle = 0;
    }
    this.#places.remove();
    this.#state = 'stopped';
    if (before !== 'new') this.emit('stopped');
  }

  #needRunning(operation: string): void {
    if (this.#state !== 'running')
      throw refusal('ERR_FDPASS_CLOSED', `Cannot ${operation}: the manager is ${this.#state}`);
  }

  #onEvent(kind: number, number: number, what: unknown, fds: Int32Array | undefined): void {
    switch (kind) {
      case PreforkEvent.inherited:
        this.#onInherited(number, what as Int32Array);
        break;
      case PreforkEvent.listenerFailed:
        this.emit('listenerFailed', this.#places.nameOf(number), String(what));
        break;
      case PreforkEvent.pressure:
        this.emit('pressure', String(what));
        break;
      case PreforkEvent.saturated:
        this.emit('saturated');
        break;
      case PreforkEvent.accepting:
        this.emit('accepting');
        break;
      case PreforkEvent.message:
        this.#onMessage(this.#members.get(number), what as Uint8Array, fds);
        break;
      default: {
        const member = this.#members.get(number);
        if (member !== undefined) this.#onMember(kind, member);
      }
    }
  }

  #onMessage(member: Member | undefined, data: Uint8Array, fds: Int32Array | undefined): void {
    const owned = [...(fds ?? [])].map((fd) => ownNumber(fd));
    if (member === undefined || !this.emit('message', data, owned, member.index))
      for (const fd of owned) fd.close();
  }

  #onMember(kind: number, member: Member): void {
    const { index, pid } = member;
    const worker = { index, pid };
    switch (kind) {
      case PreforkEvent.ready:
        this.#onReady(member);
        break;
      case PreforkEvent.suspect:
        // Who waits in its sockets is served by others.
        this.#accept(member, true);
        this.emit('suspect', worker);
        break;
      case PreforkEvent.recovered:
        this.#accept(member, false);
        this.emit('recovered', worker);
        break;
      case PreforkEvent.drained:
        member.end(GRACE);
        break;
      case PreforkEvent.channelEnded:
        // A live process without a channel serves nobody; what it holds is judged when it has ended.
        member.after(GRACE, () => member.kill());
        break;
      case PreforkEvent.hung:
        member.kill();
        this.#publish('hung', worker);
        this.emit('hung', worker);
        break;
    }
  }

  #onReady(member: Member): void {
    if (member.state !== 'starting') return;
    member.state = 'ready';
    const seat = this.#seats[member.index];
    if (seat?.member === member) {
      seat.crashes = 0;
      // It accepts from its sockets itself now.
      this.#accept(member, false);
    }
    member.settleReady(true);
    const worker = { index: member.index, pid: member.pid };
    this.#publish('ready', worker);
    this.emit('ready', worker);
  }

  #onInherited(id: number, [reassigned = 0, replayed = 0, closed = 0]: Int32Array): void {
    const exit = this.#exits.get(id);
    this.#exits.delete(id);
    if (exit === undefined) return;
    const worker = { ...exit, reassigned, replayed, closed };
    this.#publish('exit', worker);
    this.emit('exit', worker);
  }

  #onDecide(undecided: Undecided): void {
    const views =
      typeof this.#settings.policy === 'function'
        ? this.#seats.map((seat) => this.#figures.of(this.#handle, seat))
        : [];
    decide(this.#settings, undecided, views, (listener) => this.#places.nameOf(listener));
  }

  #publish(event: string, worker: object): void {
    if (lifeCycle.hasSubscribers) lifeCycle.publish({ manager: this, event, worker });
  }
}

function notReady(index: number, times: number, cause: Error | undefined): Error {
  const reason =
    cause === undefined
      ? `Worker ${index} ended before it was ready (${times} times): see what it wrote to its standard error`
      : `Cannot start worker ${index} (tried ${times} times): ${cause.message}`;
  return refusal('ERR_FDPASS_WORKER', reason, cause === undefined ? {} : { cause });
}
