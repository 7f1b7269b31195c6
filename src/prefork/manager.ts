import { channel as diagnostics } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { checkOptions } from '../check-options.js';
import { calling, refusal, shown } from '../errors.js';
import { MAX_FDS } from '../limits.js';
import { native } from '../native.js';
import { runtime } from '../runtime.js';
import { bytesOf, explained } from '../send-message.js';
import { collect, numbers, type Sendable } from '../sendable.js';
import { arrivedParts } from './arrived-parts.js';
import { decide, type Undecided } from './decide.js';
import type { ManagerEvents } from './events.js';
import { Figures } from './figures.js';
import { checkModule, type Member } from './member.js';
import { PreforkEvent } from './native-types.js';
import {
  checkCount,
  configOf,
  type ManagerOptions,
  MOST_WORKERS,
  type Settings,
  settingsOf,
} from './options.js';
import { isIndex } from './passing.js';
import { Places } from './places.js';
import { WorkerPool } from './pool.js';
import { onSignals } from './signals.js';
import type { ManagerStats } from './stats.js';

const ENGINE = runtime === 'node' ? 0 : 1;
/** The longest time for `stop`: what comes after it must fit into a timer, too. */
const LONGEST = 24 * 24 * 3_600_000;

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
  readonly #pool: WorkerPool;
  readonly #figures = new Figures();
  #stopped: Promise<void> | undefined;
  #reloading: Promise<void> | undefined;
  #lastTotals: ManagerStats | undefined;
  #unhook: () => void = () => undefined;

  /** @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT`, `ERR_FDPASS_UNSUPPORTED` — a wrong option */
  constructor(options: ManagerOptions) {
    super();
    this.#settings = settingsOf(options);
    this.#pool = new WorkerPool({
      settings: this.#settings,
      places: this.#places,
      handle: () => this.#handle,
      isRunning: () => this.#state === 'running',
      pressure: (errno) => this.emit('pressure', errno),
      crashLoop: (index) => this.emit('crashLoop', { index }),
    });
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
    return this.#pool.seats.length;
  }

  /**
   * Listens and starts the workers; resolves when all are ready.
   *
   * @throws {FdpassError} `EADDRINUSE`, `EACCES`, … — an address cannot be listened at
   * @throws {FdpassError} `ERR_FDPASS_WORKER` — there is no such worker module, or a worker ended before it was ready, three
   * times
   * @throws {FdpassError} `ERR_FDPASS_BUSY` — it was started before
   * @throws {FdpassError} `ERR_FDPASS_CLOSED` — it was stopped meanwhile
   */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw refusal('ERR_FDPASS_BUSY', 'Cannot start the manager twice');
    this.#state = 'running';
    const settings = this.#settings;
    try {
      checkModule(settings);
      await this.#places.open(settings);
      this.#needRunning('start');
      this.#open();
      await this.#pool.resize(settings.workers);
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
   * `timeout`: milliseconds (`drainTimeout`), at most 24 days; `Infinity` is that.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no options, or `timeout` is not a number from 0 on: nothing is
   * stopped
   */
  async stop(options: { timeout?: number } = {}): Promise<void> {
    checkOptions('stop', options);
    const { timeout = this.#settings.drainTimeout } = options;
    if (typeof timeout !== 'number' || !(timeout >= 0)) throw wrongTimeout(timeout);
    this.#stopped ??= this.#stop(Math.min(timeout, LONGEST));
    await this.#stopped;
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
    await this.#pool.resize(workers);
  }

  /**
   * Sends a message to the worker at `index`; lends the descriptors.
   *
   * @throws {FdpassError} `ERR_FDPASS_PEER_GONE` — that worker is not running
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — `index` is none, or `data` is neither bytes nor a string
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE`, `ERR_FDPASS_FD_CLOSED`, `EBADF` — a descriptor cannot be lent
   * @throws {FdpassError} `ERR_FDPASS_TOO_MANY_FDS` — more than 253
   */
  send(index: number, data: Uint8Array | string, fds: Iterable<Sendable> = []): void {
    const member = this.#receiver(index);
    const bytes = bytesOf(data);
    const count = collect(fds, { operation: 'send', limit: MAX_FDS, unread: false });
    try {
      native.preforkSend(this.#handle, member.id, bytes, numbers, count);
    } catch (thrown) {
      throw explained(thrown, numbers, count);
    }
  }

  /** Figures of the manager and of each worker. */
  stats(): ManagerStats {
    if (this.#handle === 0 && this.#lastTotals !== undefined) return this.#lastTotals;
    return this.#figures.all(this.#handle, this.#pool.seats);
  }

  #receiver(index: number): Member {
    if (!isIndex(index))
      throw refusal(
        'ERR_FDPASS_INVALID_ARGUMENT',
        `Cannot send to ${shown(index)}: give the index of a worker, an integer from 0 to ${MOST_WORKERS - 1}`,
      );
    const seat = this.#pool.seats[index];
    if (seat?.member !== undefined) return seat.member;
    const why =
      seat === undefined && this.#state === 'running'
        ? `there are ${this.size}. Give an index below that`
        : 'it is not running';
    throw refusal('ERR_FDPASS_PEER_GONE', `Cannot send to worker ${index}: ${why}`);
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

  async #reload(): Promise<void> {
    this.#needRunning('reload');
    await this.#pool.replaceAll(() => this.#needRunning('reload'));
    this.emit('reloaded');
  }

  async #stop(timeout: number): Promise<void> {
    const before = this.#state;
    this.#state = 'stopping';
    this.#unhook();
    this.#pool.hold();
    if (this.#handle !== 0) {
      this.#places.close(this.#handle);
      await this.#pool.end(timeout);
      this.#lastTotals = this.stats();
      native.preforkClose(this.#handle);
      this.#handle = 0;
    }
    this.#places.remove();
    this.#state = 'stopped';
    if (before !== 'new') this.emit('stopped');
  }

  #needRunning(operation: string): void {
    if (this.#state === 'running') return;
    const remedy = this.#state === 'new' ? 'start() it first' : 'Make a new one';
    throw refusal('ERR_FDPASS_CLOSED', `Cannot ${operation}: the manager is ${this.#state}. ${remedy}`);
  }

  #onEvent(kind: number, number: number, what: unknown, fds: Int32Array | Error | undefined): void {
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
        this.#onMessage(this.#pool.member(number), what as Uint8Array, fds);
        break;
      default: {
        const member = this.#pool.member(number);
        if (member !== undefined) this.#onMember(kind, member);
      }
    }
  }

  #onMessage(member: Member | undefined, data: Uint8Array, fds: Int32Array | Error | undefined): void {
    const parts = arrivedParts(fds);
    if (member === undefined || !this.emit('message', data, parts.fds, member.index, ...parts.error))
      for (const fd of parts.fds) fd.close();
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
        this.#pool.accept(member, true);
        this.emit('suspect', worker);
        break;
      case PreforkEvent.recovered:
        this.#pool.accept(member, false);
        this.emit('recovered', worker);
        break;
      case PreforkEvent.drained:
        this.#pool.drained(member);
        break;
      case PreforkEvent.channelEnded:
        this.#pool.lostChannel(member);
        break;
      case PreforkEvent.hung:
        member.kill();
        this.#publish('hung', worker);
        this.emit('hung', worker);
        break;
    }
  }

  #onReady(member: Member): void {
    if (!this.#pool.ready(member)) return;
    const worker = { index: member.index, pid: member.pid };
    this.#publish('ready', worker);
    this.emit('ready', worker);
  }

  #onInherited(id: number, [reassigned = 0, replayed = 0, closed = 0]: Int32Array): void {
    const exit = this.#pool.takeExit(id);
    if (exit === undefined) return;
    const worker = { ...exit, reassigned, replayed, closed };
    this.#publish('exit', worker);
    this.emit('exit', worker);
  }

  #onDecide(undecided: Undecided): void {
    const views =
      typeof this.#settings.policy === 'function'
        ? this.#pool.seats.map((seat) => this.#figures.of(this.#handle, seat))
        : [];
    decide(this.#settings, undecided, views, (listener) => this.#places.nameOf(listener));
  }

  #publish(event: string, worker: object): void {
    if (lifeCycle.hasSubscribers) lifeCycle.publish({ manager: this, event, worker });
  }
}

function wrongTimeout(timeout: unknown): Error {
  return refusal(
    'ERR_FDPASS_INVALID_ARGUMENT',
    `Cannot stop: timeout is ${shown(timeout)}, not a number of milliseconds from 0 on`,
  );
}
