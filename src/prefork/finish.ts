import type { EventEmitter } from 'node:events';
import { ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { runtime } from '../runtime.js';
import { type Adopted, slotOf, type Target, targetOf } from './adopted.js';

/** How often a worker that finishes looks for idle connections, in milliseconds. */
const SWEEP = 5;
/** A connection that never sent anything is taken for one whose request is under way for this long. */
const FRESH = 1000;

/** The work of a worker that is to be finished. */
export interface Unfinished {
  readonly servers: ReadonlySet<Target>;
  readonly sockets: ReadonlySet<Adopted>;
  /** What TLS made of sockets. */
  readonly secured: ReadonlySet<Socket>;
  readonly sessions: ReadonlySet<Http2Session>;
  /** How many connections there are, those that were taken as descriptors among them. */
  open(): number;
  /** Hands a connection back that was destroyed here. */
  release(socket: Adopted, slot: number): void;
  /** Nothing is left. */
  done(): void;
}

/** The end of a worker's life: requests under way are answered, idle connections move or close, the rest is cut. */
export class Finish {
  readonly #work: Unfinished;
  readonly #handBack: boolean;
  readonly #started: number = performance.now();
  readonly #deadline: number;
  #sweepAsked = false;
  #done = false;

  /** `handBack`: the manager wants idle connections back. */
  constructor(work: Unfinished, { handBack, milliseconds }: { handBack: boolean; milliseconds: number }) {
    this.#work = work;
    this.#handBack = handBack;
    this.#deadline = this.#started + milliseconds;
    for (const { server } of work.servers) server.prependListener('request', this.#onRequest);
    for (const socket of work.sockets) if (!this.#canMove(socket)) closeAfterAnswer(socket);
    for (const socket of work.secured) closeAfterAnswer(socket);
    for (const session of work.sessions) session.close();
  }

  /** Whether nothing was left, and it was said. */
  get isDone(): boolean {
    return this.#done;
  }

  /** Looks after the connections until none is left. */
  sweep(): void {
    this.#sweepIdle();
    if (performance.now() >= this.#deadline) for (const socket of this.#work.sockets) socket.destroy();
    if (this.#work.open() > 0) setTimeout(() => this.sweep(), SWEEP);
    else this.check();
  }

  /** Once a turn of the loop: a sweep looks at every connection. */
  soonSweep(): void {
    if (this.#sweepAsked) return;
    this.#sweepAsked = true;
    setImmediate(() => {
      this.#sweepAsked = false;
      this.#sweepIdle();
    });
  }

  /** A connection is over: was it the last one? */
  check(): void {
    if (this.#done || this.#work.open() > 0) return;
    this.#done = true;
    this.#work.done();
  }

  /** An answer ends its connection, unless the connection can move when it is idle. */
  readonly #onRequest = (
    request: { socket?: Adopted },
    response: { setHeader?: (name: string, value: string) => void; once: EventEmitter['once'] },
  ): void => {
    if (!this.#canMove(request.socket) || performance.now() > (this.#started + this.#deadline) / 2) {
      try {
        response.setHeader?.('Connection', 'close');
      } catch {
        // HTTP/2 has no such header: its streams end with their session.
      }
    }
    response.once('close', () => this.soonSweep());
  };

  /** Idle keep-alive connections move, or close. */
  #sweepIdle(): void {
    const living = [...this.#work.sockets].filter((socket) => !socket.destroyed);
    const now = performance.now();
    if (!this.#wouldLose(living, now))
      for (const { http } of this.#work.servers) http?.closeIdleConnections();
    for (const socket of living) {
      const moves = this.#canMove(socket);
      const clientFirst = socket[targetOf]?.clientFirst === true;
      const untouched = clientFirst && socket.bytesRead === 0 && socket.bytesWritten === 0;
      if (!socket.destroyed && untouched && (moves || now > this.#started + FRESH)) socket.destroy();
      const slot = socket[slotOf];
      // Destroyed without shutdown, with the manager's copy open: the client notices nothing.
      if (socket.destroyed && moves && slot !== undefined) this.#work.release(socket, slot);
    }
  }

  /** Bun takes a connection that it has not read from for an idle one: the request that waits there would be lost. */
  #wouldLose(living: readonly Adopted[], now: number): boolean {
    if (runtime !== 'bun' || now > this.#started + FRESH) return false;
    return living.some(
      (socket) => socket.bytesRead === 0 && socket[targetOf]?.plain === true && !this.#canMove(socket),
    );
  }

  /** Whether the manager has a copy of the connection and wants it back, and nothing of it is in this process. */
  #canMove(socket: Adopted | undefined): boolean {
    return this.#handBack && socket?.[slotOf] !== undefined && socket[targetOf]?.plain === true;
  }
}

/**
 * Has the answer under way say that it is the last one: a client that took the connection for a kept one would send its
 * next request into its end. Node has no public name for that answer, and to note each one would cost every request.
 */
function closeAfterAnswer(socket: Socket): void {
  const { _httpMessage: answer } = socket as { readonly _httpMessage?: unknown };
  if (answer instanceof ServerResponse && !answer.headersSent) answer.setHeader('Connection', 'close');
}
