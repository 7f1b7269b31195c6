import { EventEmitter } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { calling, type FdpassError, refusal, shown } from '../errors.js';
import type { Fd } from '../fd.js';
import { MAX_FDS } from '../limits.js';
import { native } from '../native.js';
import { runtime } from '../runtime.js';
import { bytesOf, explained } from '../send-message.js';
import { collect, numbers, type Sendable } from '../sendable.js';
import { type Adopted, slotOf, type Target } from './adopted.js';
import { arrivedParts } from './arrived-parts.js';
import { ClosedWords } from './closed-words.js';
import { Finish, type Unfinished } from './finish.js';
import { moveIn } from './listeners.js';
import type { WorkerFacts } from './member.js';
import { GIVEN, TO_ALL, TO_ANY, TO_MANAGER, WorkerOrder } from './native-types.js';
import { checkPassing, isIndex, NOTHING } from './passing.js';
import { listenPrivately } from './private-listener.js';
import { RawConnections, type RawHandler } from './raw.js';
import { Routes } from './routes.js';
import { ServedConnections } from './served.js';
import { throwLater } from './uncaught.js';
import { unsupportedHere } from './unsupported.js';

/** What a `Worker` tells. */
export interface WorkerEvents {
  /**
   * A message of another worker, or of the manager (-1). The descriptors are the listener's to close. `error`: descriptors
   * of it were lost on the way because a process was at its descriptor limit; then there are none.
   */
  message: [data: Uint8Array, fds: Fd[], from: number, error?: FdpassError];
  /** This worker shall finish: it gets no more connections. */
  drain: [];
  /** The manager is gone; this process ends when its connections have. */
  end: [];
}

/** Which connections a server gets. */
export interface ServeOptions {
  /** Those of the listener of this name (all). */
  readonly listener?: string;
}

/** Whom a message is for: a worker's index, the manager, or every other worker. */
export type MessageTarget = number | 'manager' | 'all';

const ENGINE = runtime === 'node' ? 0 : 1;
/** How many connections come in one call at most. */
const BATCH = 256;
/** How long an orphan may take to finish. */
const ORPHAN = 5000;
/** How long an orphan that has finished waits for what it wrote to its standard streams. */
const LAST_WORDS = 5;
/** The worker's side of a manager: one in a process, which `worker()` returns; examples are there. */
export class Worker extends EventEmitter<WorkerEvents> {
  readonly index: number;
  readonly #facts: WorkerFacts;
  readonly #handle: number;
  readonly #records = new Int32Array(BATCH * GIVEN.size);
  readonly #routes: Routes<Target | RawHandler>;
  readonly #private: Server[] = [];
  readonly #kernel: Server[] = [];
  /** Listening sockets that came before a server did. */
  #accepts: [listener: number, fd: number][] = [];
  #awaited: Promise<unknown>[] = [];
  #readyAsked = false;
  #readySaid = false;
  readonly #closed: ClosedWords;
  readonly #served: ServedConnections;
  readonly #raw: RawConnections;
  #finish: Finish | undefined;
  #over = false;

  /** @internal */
  constructor(socket: Fd, facts: WorkerFacts) {
    super();
    this.index = facts.index;
    this.#facts = facts;
    this.#routes = new Routes(facts.listeners);
    this.#handle = calling(() =>
      native.workerOpen(
        moveIn(socket),
        this.#records,
        (count, prefixes) => this.#onConnections(count, prefixes),
        (kind, a, b, data, fds) => this.#onOrder(kind, a, b, data, fds),
        ENGINE,
      ),
    );
    this.#closed = new ClosedWords(this.#handle);
    const over = (): void => this.#finish?.check();
    const listenerName = (listener: number): string => this.#routes.nameOf(listener);
    this.#served = new ServedConnections({ closed: this.#closed, over });
    this.#raw = new RawConnections({ handle: this.#handle, closed: this.#closed, listenerName, over });
  }

  /**
   * Serves the manager's connections with `server` (`http`, `https`, `net`, `http2`, and frameworks on them). Do not call
   * its `listen`. The worker is ready when the servers of this turn of the loop are.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no server, or the manager has no listener of that name
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED_RUNTIME` — a server of `https` in Bun
   */
  serve(server: Server, { listener }: ServeOptions = {}): void {
    const target = this.#served.add(server);
    this.#routes.set(target, listener);
    if (target.http !== undefined) {
      this.#private.push(target.http);
      this.#awaited.push(listenPrivately(target.http));
    }
    this.#soonReady();
  }

  /**
   * Takes connections as descriptors. The descriptor is the handler's to close, and then `info.done()` says so.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — the manager has no listener of that name
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED_RUNTIME` — in Deno, with the strategy `kernel`
   */
  onConnection(handler: RawHandler, { listener }: ServeOptions = {}): void {
    // What it accepts itself is a socket that does not tell its descriptor.
    if (runtime === 'deno' && this.#facts.strategy === 'kernel')
      throw unsupportedHere(
        "take connections as descriptors with the strategy 'kernel'",
        "Use the strategy 'push', or serve() with a server of node:net",
      );
    this.#routes.set(handler, listener);
    this.#soonReady();
  }

  /**
   * Says how busy this worker is, for the policy `least-load`: any figure that is comparable between workers.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no number, or NaN
   */
  report(load: number): void {
    if (typeof load !== 'number' || Number.isNaN(load))
      throw refusal(
        'ERR_FDPASS_INVALID_ARGUMENT',
        `Cannot report ${shown(load)} as the load: give a number that can be compared`,
      );
    // Nobody listens any more.
    if (!this.#over) native.workerReport(this.#handle, load);
  }

  /**
   * Gives a connection that `serve` had adopted to another worker (`undefined`: whoever is chosen), with bytes that were
   * read of it. The socket is destroyed here and lives on there.
   *
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE` — the socket did not come from a manager
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no index of a worker, or more than 256 KiB
   */
  passOn(socket: Socket, index?: number, prefix: Uint8Array = NOTHING): void {
    const slot = (socket as Adopted | undefined | null)?.[slotOf];
    if (slot === undefined)
      throw refusal(
        'ERR_FDPASS_NOT_SENDABLE',
        `Cannot pass on ${shown(socket)}: it is not of a manager. Give a socket that a server of serve() got`,
      );
    checkPassing(index, prefix);
    this.#release(socket as Adopted, slot, index ?? TO_ANY, prefix);
    socket.destroy();
  }

  /**
   * Sends a message through the manager; lends the descriptors. A worker that is not running does not get it.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — `to` names nobody, or `data` is neither bytes nor a string
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE`, `ERR_FDPASS_FD_CLOSED`, `EBADF` — a descriptor cannot be lent
   * @throws {FdpassError} `ERR_FDPASS_TOO_MANY_FDS` — more than 253
   */
  send(to: MessageTarget, data: Uint8Array | string, fds: Iterable<Sendable> = []): void {
    const target = receiver(to);
    const bytes = bytesOf(data);
    const count = collect(fds, { operation: 'send', limit: MAX_FDS, unread: false });
    try {
      native.workerSend(this.#handle, target, bytes, numbers, count);
    } catch (thrown) {
      throw explained(thrown, numbers, count);
    }
  }

  /** How many connections this worker has. */
  get active(): number {
    return this.#served.sockets.size + this.#raw.open;
  }

  /** Ready once what this turn of the loop sets up is. */
  #soonReady(): void {
    if (this.#readyAsked) return;
    this.#readyAsked = true;
    setImmediate(async () => {
      await Promise.all(this.#awaited);
      this.#sayReady();
    });
  }

  #sayReady(): void {
    if (this.#readySaid || !this.#readyAsked) return;
    // With the strategy `kernel` its listening sockets come first, all of them.
    if (this.#facts.strategy === 'kernel' && this.#accepts.length < this.#facts.listeners.length) return;
    this.#readySaid = true;
    const accepts = this.#accepts.splice(0);
    // Before the first connection: what is accepted from then on outlives this process.
    if (accepts.length > 0)
      native.workerKeep(
        this.#handle,
        Int32Array.from(accepts, ([, fd]) => fd),
      );
    for (const [listener, fd] of accepts) this.#acceptFrom(listener, fd);
    native.workerReady(this.#handle);
  }

  #onConnections(count: number, prefixes: Uint8Array | undefined): void {
    // Copied: what a handler does may bring more connections.
    const records = this.#records.slice(0, count * GIVEN.size);
    let offset = 0;
    for (let at = 0; at < records.length; at += GIVEN.size) {
      const length = records[at + GIVEN.prefix] as number;
      const prefix = length === 0 ? undefined : prefixes?.slice(offset, offset + length);
      offset += length;
      const target = this.#routes.get(records[at + GIVEN.listener] as number);
      try {
        if (typeof target !== 'object') {
          this.#raw.take(target, records, at, prefix);
          continue;
        }
        this.#served.adopt(target, records, at, prefix);
        this.#finish?.soonSweep();
      } catch (error) {
        // It must not cost the connections that came with this one.
        throwLater(error);
      }
    }
  }

  #release(socket: Adopted, slot: number, to: number, prefix: Uint8Array): void {
    // Its 'close' says nothing any more.
    delete socket[slotOf];
    native.workerRelease(this.#handle, slot, to, prefix);
  }

  #onOrder(kind: number, a: number, b: number, data: unknown, fds: Int32Array | Error | undefined): void {
    if (kind === WorkerOrder.accept) {
      this.#accepts.push([a, b]);
      Promise.all(this.#awaited).then(() => this.#sayReady());
    } else if (kind === WorkerOrder.drain) {
      this.#drain(a === 1, b);
    } else if (kind === WorkerOrder.message) {
      const parts = arrivedParts(fds);
      if (!this.emit('message', data as Uint8Array, parts.fds, a, ...parts.error))
        for (const fd of parts.fds) fd.close();
    } else if (kind === WorkerOrder.end) {
      this.emit('end');
      this.#over = true;
      // It may have finished before: nothing asks again then.
      if (this.#finish?.isDone) this.#done();
      this.#drain(false, ORPHAN);
      this.#finish?.check();
    }
  }

  /** Accepts from a socket of its own (strategy `kernel`). */
  #acceptFrom(listener: number, fd: number): void {
    const target = this.#routes.get(listener);
    native.letGo(fd);
    const server = createServer(
      {
        allowHalfOpen: typeof target === 'object' && target.allowHalfOpen,
        // What a raw handler gets must not be read from here.
        pauseOnConnect: typeof target !== 'object',
      },
      (socket: Adopted) => {
        if (typeof target === 'object') this.#served.adoptOwn(target, socket);
        else this.#raw.takeOwn(target, socket, listener);
      },
    );
    this.#kernel.push(server);
    server.listen({ fd });
  }

  #drain(handBack: boolean, milliseconds: number): void {
    if (this.#finish !== undefined) return;
    for (const server of this.#kernel) server.close();
    this.#served.draining = true;
    const { servers, sockets, secured, sessions } = this.#served;
    const work: Unfinished = {
      servers,
      sockets,
      secured,
      sessions,
      open: () => this.active,
      release: (socket, slot) => this.#release(socket, slot, TO_ANY, NOTHING),
      done: () => this.#done(),
    };
    this.#finish = new Finish(work, { handBack, milliseconds });
    this.emit('drain');
    this.#finish.sweep();
  }

  #done(): void {
    this.#closed.send();
    for (const server of this.#private) server.close();
    if (this.#over) {
      native.workerClose(this.#handle);
      // An orphan must not stay because of a timer of the application.
      setTimeout(() => process.exit(), LAST_WORDS).unref();
      return;
    }
    // The manager ends this process when it has heard it.
    native.workerDrained(this.#handle);
  }
}

/** Who is meant, as the binding knows them. */
function receiver(to: MessageTarget): number {
  if (to === 'manager') return TO_MANAGER;
  if (to === 'all') return TO_ALL;
  if (isIndex(to)) return to;
  throw refusal(
    'ERR_FDPASS_INVALID_ARGUMENT',
    `Cannot send to ${shown(to)}: give the index of a worker, 'manager' or 'all'`,
  );
}
