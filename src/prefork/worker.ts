import { EventEmitter } from 'node:events';
import { Server as HttpServer } from 'node:http';
import type { Http2Session } from 'node:http2';
import { Server as HttpsServer } from 'node:https';
import { createServer, type Server, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { socketInBun } from '../convert/net.js';
import { calling, refusal, shown } from '../errors.js';
import { Fd, ownNumber } from '../fd.js';
import { native } from '../native.js';
import { runtime } from '../runtime.js';
import { collect, numbers, type Sendable } from '../sendable.js';
import { type Adopted, slotOf, type Target, targetOf } from './adopted.js';
import { ClosedWords } from './closed-words.js';
import { Finish, type Unfinished } from './finish.js';
import { moveIn } from './listeners.js';
import type { WorkerFacts } from './member.js';
import { GIVEN, TO_ALL, TO_ANY, TO_MANAGER, WorkerOrder } from './native-types.js';
import { MOST_WORKERS } from './options.js';
import { type PeerAddress, peerAt, peerOf } from './peer.js';
import { listenPrivately } from './private-listener.js';
import { throwLater } from './uncaught.js';

/** A connection taken raw, by `onConnection`. */
export interface ConnectionInfo {
  readonly peer: PeerAddress;
  /** The name of the manager's listener. */
  readonly listener: string;
  /** Bytes that come before what is in the socket: another worker had read them. */
  readonly prefix: Uint8Array;
  /** The connection is over: the manager closes its copy. Call it when you have closed yours. */
  done(): void;
  /**
   * Gives the connection to another worker (`undefined`: whoever is chosen), with bytes that were read of it.
   *
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED` — with the strategy `kernel`: the manager has no copy of it
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no index of a worker, or more than 256 KiB
   */
  passOn(index?: number, prefix?: Uint8Array): void;
}

/** What a `Worker` tells. */
export interface WorkerEvents {
  /** A message of another worker, or of the manager (-1). The descriptors are the listener's to close. */
  message: [data: Uint8Array, fds: Fd[], from: number];
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
/** How many bytes may go with a connection that is passed on. */
const MOST_PASSED = 256 * 1024;
const NOTHING = new Uint8Array(0);

/** Takes a connection as a descriptor, which is its to close; then `info.done()` says so. */
export type RawHandler = (fd: Fd, info: ConnectionInfo) => void;

/** The worker's side of a manager: one in a process, which `worker()` returns; examples are there. */
export class Worker extends EventEmitter<WorkerEvents> {
  readonly index: number;
  readonly #facts: WorkerFacts;
  readonly #handle: number;
  readonly #records = new Int32Array(BATCH * GIVEN.size);
  /** By listener number; one that is not there goes to `#anyTarget`. */
  readonly #targets: (Target | RawHandler | undefined)[] = [];
  #anyTarget: Target | RawHandler | undefined;
  readonly #servers = new Set<Target>();
  readonly #private: Server[] = [];
  readonly #kernel: Server[] = [];
  /** Listening sockets that came before a server did. */
  #accepts: [listener: number, fd: number][] = [];
  #awaited: Promise<unknown>[] = [];
  #readyAsked = false;
  #readySaid = false;
  readonly #closed: ClosedWords;
  #open = 0;
  readonly #sockets = new Set<Adopted>();
  readonly #secured = new Set<Socket>();
  readonly #sessions = new Set<Http2Session>();
  #finish: Finish | undefined;
  #over = false;
  readonly #onClose: (this: Adopted) => void;

  /** @internal */
  constructor(socket: Fd, facts: WorkerFacts) {
    super();
    this.index = facts.index;
    this.#facts = facts;
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
    const worker = this;
    this.#onClose = function onClose() {
      worker.#socketClosed(this);
    };
  }

  /**
   * Serves the manager's connections with `server` (`http`, `https`, `net`, `http2`, and frameworks on them). Do not call
   * its `listen`. The worker is ready when the servers of this turn of the loop are.
   *
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no server, or the manager has no listener of that name
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED_RUNTIME` — a server of `https` in Bun
   */
  serve(server: Server, { listener }: ServeOptions = {}): void {
    // By what it is and not by its class: not every runtime's HTTP server is one of node:net. An app is a function.
    if (typeof server !== 'object' || typeof server?.emit !== 'function')
      throw refusal(
        'ERR_FDPASS_INVALID_ARGUMENT',
        `Cannot serve with ${shown(server)}: give a server of node:http, https, http2 or net. Of a framework it is createServer(app)`,
      );
    // It would speak plain HTTP there.
    if (runtime === 'bun' && server instanceof HttpsServer)
      throw unsupportedHere(
        'serve with a server of node:https',
        "Give tls.createServer(options, (socket) => server.emit('connection', socket)) with a server of node:http",
      );
    const plain = server instanceof HttpServer;
    const http = plain || server instanceof HttpsServer ? server : undefined;
    const { allowHalfOpen = false } = server as { allowHalfOpen?: boolean };
    // HTTP/2 without TLS has no class of its own.
    const clientFirst = plain || server instanceof TlsServer || 'updateSettings' in server;
    const target: Target = { server, allowHalfOpen, http, plain, clientFirst };
    this.#servers.add(target);
    // HTTP/2: a session is closed from inside, when its streams have ended.
    server.on('session', (session: Http2Session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      if (this.#finish !== undefined) session.close();
    });
    if (server instanceof TlsServer)
      server.on('secureConnection', (socket) => {
        this.#secured.add(socket);
        socket.once('close', () => this.#secured.delete(socket));
      });
    this.#setTarget(target, listener);
    if (http !== undefined) {
      this.#private.push(http);
      this.#awaited.push(listenPrivately(http));
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
    this.#setTarget(handler, listener);
    this.#soonReady();
  }

  /** Says how busy this worker is, for the policy `least-load`: any figure that is comparable between workers. */
  report(load: number): void {
    native.workerReport(this.#handle, load);
  }

  /**
   * Gives a connection that `serve` had adopted to another worker (`undefined`: whoever is chosen), with bytes that were
   * read of it. The socket is destroyed here and lives on there.
   *
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE` — the socket did not come from a manager
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no index of a worker, or more than 256 KiB
   */
  passOn(socket: Socket, index?: number, prefix: Uint8Array = NOTHING): void {
    const slot = (socket as Adopted)[slotOf];
    if (slot === undefined)
      throw refusal('ERR_FDPASS_NOT_SENDABLE', 'Cannot pass the socket on: it is not of a manager');
    checkPassing(index, prefix);
    this.#release(socket as Adopted, slot, index ?? TO_ANY, prefix);
    socket.destroy();
  }

  /**
   * Sends a message through the manager; lends the descriptors. A worker that is not running does not get it.
   *
   * @throws {FdpassError} `ERR_FDPASS_NOT_SENDABLE`, `ERR_FDPASS_FD_CLOSED`, `EBADF` — a descriptor cannot be lent
   * @throws {FdpassError} `ERR_FDPASS_TOO_MANY_FDS` — more than 253
   */
  send(to: MessageTarget, data: Uint8Array | string, fds: Iterable<Sendable> = []): void {
    const target = to === 'manager' ? TO_MANAGER : to === 'all' ? TO_ALL : to;
    const count = collect(fds, { operation: 'send', limit: 253, unread: false });
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    calling(() => native.workerSend(this.#handle, target, bytes, numbers, count));
  }

  /** How many connections this worker has. */
  get active(): number {
    return this.#open;
  }

  #setTarget(target: Target | RawHandler, listener: string | undefined): void {
    if (listener === undefined) {
      this.#anyTarget = target;
      return;
    }
    const { listeners } = this.#facts;
    if (!listeners.includes(listener))
      throw refusal(
        'ERR_FDPASS_INVALID_ARGUMENT',
        `Cannot serve the listener '${listener}': the manager's are ${listeners.map((name) => `'${name}'`).join(', ')}`,
      );
    for (const [number, name] of listeners.entries()) if (name === listener) this.#targets[number] = target;
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

  #target(listener: number): Target | RawHandler | undefined {
    return this.#targets[this.#place(listener)] ?? this.#anyTarget;
  }

  /** With the strategy `kernel` every worker has a listener at each place. */
  #place(listener: number): number {
    return listener % this.#facts.listeners.length;
  }

  #onConnections(count: number, prefixes: Uint8Array | undefined): void {
    // Copied: what a handler does may bring more connections.
    const records = this.#records.slice(0, count * GIVEN.size);
    let offset = 0;
    for (let at = 0; at < records.length; at += GIVEN.size) {
      const length = records[at + GIVEN.prefix] as number;
      const prefix = length === 0 ? undefined : prefixes?.slice(offset, offset + length);
      offset += length;
      const target = this.#target(records[at + GIVEN.listener] as number);
      try {
        if (typeof target === 'object') this.#adopt(target, records, at, prefix);
        else this.#takeRaw(target, records, at, prefix);
      } catch (error) {
        // It must not cost the connections that came with this one.
        throwLater(error);
      }
    }
  }

  #adopt(target: Target, records: Int32Array, at: number, prefix?: Uint8Array): void {
    const fd = records[at + GIVEN.fd] as number;
    const slot = records[at + GIVEN.slot] as number;
    const { server, allowHalfOpen } = target;
    let socket: Adopted;
    try {
      socket =
        runtime === 'bun'
          ? socketInBun(fd, allowHalfOpen)
          : new Socket({ fd, readable: true, writable: true, allowHalfOpen });
    } catch {
      native.closeFd(fd);
      this.#closed.add(slot);
      return;
    }
    socket[slotOf] = slot;
    socket[targetOf] = target;
    this.#open += 1;
    this.#sockets.add(socket);
    socket.on('close', this.#onClose);
    if (prefix !== undefined) socket.unshift(prefix);
    server.emit('connection', socket);
    this.#finish?.soonSweep();
  }

  #takeRaw(handler: RawHandler | undefined, records: Int32Array, at: number, prefix?: Uint8Array): void {
    const slot = records[at + GIVEN.slot] as number;
    const fd = ownNumber(records[at + GIVEN.fd] as number);
    if (handler === undefined) {
      // Nobody here serves that listener.
      fd.close();
      this.#closed.add(slot);
      return;
    }
    const once = this.#counted();
    handler(fd, {
      peer: peerAt(records, at + GIVEN.peer),
      listener: this.#nameOf(records[at + GIVEN.listener] as number),
      prefix: prefix ?? NOTHING,
      done: () => once(() => this.#closed.add(slot)),
      passOn: (index, bytes = NOTHING) => {
        checkPassing(index, bytes);
        once(() => native.workerRelease(this.#handle, slot, index ?? TO_ANY, bytes));
      },
    });
  }

  /** The same for a connection that was accepted here (strategy `kernel`). */
  #handOut(handler: RawHandler | undefined, socket: Socket, listener: number): void {
    const peer = peerOf(socket);
    const fd = handler && copyOf(socket);
    // Nothing was read from it, and destroying does not shut it down: it lives on in the copy.
    socket.destroy();
    if (handler === undefined || fd === undefined) return;
    const once = this.#counted();
    handler(fd, {
      peer,
      listener: this.#nameOf(listener),
      prefix: NOTHING,
      done: () => once(() => undefined),
      passOn: () => {
        throw refusal(
          'ERR_FDPASS_UNSUPPORTED',
          "Cannot pass the connection on: with the strategy 'kernel' the manager does not know it. Send its descriptor to the other worker",
        );
      },
    });
  }

  /** Counts a connection until something is done that ends it here; nothing is done twice. */
  #counted(): (what: () => void) => void {
    this.#open += 1;
    let over = false;
    return (what) => {
      if (over) return;
      over = true;
      this.#open -= 1;
      what();
      this.#finish?.check();
    };
  }

  #nameOf(listener: number): string {
    return this.#facts.listeners[this.#place(listener)] ?? '';
  }

  #socketClosed(socket: Adopted): void {
    this.#open -= 1;
    this.#sockets.delete(socket);
    const slot = socket[slotOf];
    if (slot !== undefined) this.#closed.add(slot);
    this.#finish?.check();
  }

  #release(socket: Adopted, slot: number, to: number, prefix: Uint8Array): void {
    // Its 'close' says nothing any more.
    delete socket[slotOf];
    native.workerRelease(this.#handle, slot, to, prefix);
  }

  #onOrder(kind: number, a: number, b: number, data: unknown, fds: Int32Array | undefined): void {
    if (kind === WorkerOrder.accept) {
      this.#accepts.push([a, b]);
      Promise.all(this.#awaited).then(() => this.#sayReady());
    } else if (kind === WorkerOrder.drain) {
      this.#drain(a === 1, b);
    } else if (kind === WorkerOrder.message) {
      const owned = [...(fds ?? [])].map((fd) => ownNumber(fd));
      if (!this.emit('message', data as Uint8Array, owned, a)) for (const fd of owned) fd.close();
    } else if (kind === WorkerOrder.end) {
      this.emit('end');
      this.#over = true;
      this.#drain(false, ORPHAN);
      this.#finish?.check();
    }
  }

  /** Accepts from a socket of its own (strategy `kernel`). */
  #acceptFrom(listener: number, fd: number): void {
    const target = this.#target(listener);
    native.letGo(fd);
    const server = createServer(
      {
        allowHalfOpen: typeof target === 'object' && target.allowHalfOpen,
        // What a raw handler gets must not be read from here.
        pauseOnConnect: typeof target !== 'object',
      },
      (socket: Adopted) => {
        if (typeof target !== 'object') {
          this.#handOut(target, socket, listener);
          return;
        }
        this.#open += 1;
        socket[targetOf] = target;
        this.#sockets.add(socket);
        socket.on('close', this.#onClose);
        target.server.emit('connection', socket);
      },
    );
    this.#kernel.push(server);
    server.listen({ fd });
  }

  #drain(handBack: boolean, milliseconds: number): void {
    if (this.#finish !== undefined) return;
    for (const server of this.#kernel) server.close();
    const work: Unfinished = {
      servers: this.#servers,
      sockets: this.#sockets,
      secured: this.#secured,
      sessions: this.#sessions,
      open: () => this.#open,
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

/** The manager would close a connection that it cannot pass on. */
function checkPassing(index: number | undefined, { length }: Uint8Array): void {
  if (index !== undefined && !(Number.isInteger(index) && index >= 0 && index < MOST_WORKERS))
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot pass the connection on: ${shown(index)} is no index of a worker`,
    );
  if (length > MOST_PASSED)
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot pass the connection on with ${length} bytes: the limit is ${MOST_PASSED}`,
    );
}

/** The refusal of what this runtime's `node:` modules cannot do. */
function unsupportedHere(what: string, remedy: string): Error {
  return refusal('ERR_FDPASS_UNSUPPORTED_RUNTIME', `Cannot ${what}: ${runtime} cannot do it. ${remedy}`);
}

/** `undefined`: this process has no free descriptor. */
function copyOf(socket: Socket): Fd | undefined {
  try {
    return Fd.duplicate(socket);
  } catch {
    return undefined;
  }
}
