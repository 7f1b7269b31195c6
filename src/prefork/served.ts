import { Server as HttpServer } from 'node:http';
import type { Http2Session } from 'node:http2';
import { Server as HttpsServer } from 'node:https';
import { type Server, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { socketInBun } from '../convert/net.js';
import { refusal, shown } from '../errors.js';
import { native } from '../native.js';
import { runtime } from '../runtime.js';
import { type Adopted, slotOf, type Target, targetOf } from './adopted.js';
import type { ClosedWords } from './closed-words.js';
import { GIVEN } from './native-types.js';
import { unsupportedHere } from './unsupported.js';

/** What served connections need of their worker. */
export interface ServedContext {
  readonly closed: ClosedWords;
  /** A connection is over here. */
  readonly over: () => void;
}

/** Servers, and the connections that they were given. */
export class ServedConnections {
  readonly servers: Set<Target> = new Set();
  readonly sockets: Set<Adopted> = new Set();
  /** What TLS made of sockets. */
  readonly secured: Set<Socket> = new Set();
  readonly sessions: Set<Http2Session> = new Set();
  /** The worker is to finish: a new session ends with its first streams. */
  draining = false;
  readonly #closed: ClosedWords;
  readonly #onClose: (this: Adopted) => void;

  constructor({ closed, over }: ServedContext) {
    this.#closed = closed;
    const { sockets } = this;
    this.#onClose = function onClose() {
      sockets.delete(this);
      const slot = this[slotOf];
      if (slot !== undefined) closed.add(slot);
      over();
    };
  }

  /** Makes a server one that connections can be given to. It may serve several listeners. */
  add(server: Server): Target {
    for (const known of this.servers) if (known.server === server) return known;
    const target = targetFor(server);
    this.servers.add(target);
    // HTTP/2: a session is closed from inside, when its streams have ended.
    server.on('session', (session: Http2Session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
      if (this.draining) session.close();
    });
    if (server instanceof TlsServer)
      server.on('secureConnection', (socket) => {
        this.secured.add(socket);
        socket.once('close', () => this.secured.delete(socket));
      });
    return target;
  }

  /** Gives one of the manager's to its server, as the binding tells of it. */
  adopt(target: Target, records: Int32Array, at: number, prefix?: Uint8Array): void {
    const fd = records[at + GIVEN.fd] as number;
    const slot = records[at + GIVEN.slot] as number;
    const { allowHalfOpen } = target;
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
    if (prefix !== undefined) socket.unshift(prefix);
    this.adoptOwn(target, socket);
  }

  /** Gives one to its server that was accepted here (strategy `kernel`). */
  adoptOwn(target: Target, socket: Adopted): void {
    socket[targetOf] = target;
    this.sockets.add(socket);
    socket.on('close', this.#onClose);
    target.server.emit('connection', socket);
  }
}

function targetFor(server: Server): Target {
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
  if (http?.listening)
    throw refusal(
      'ERR_FDPASS_BUSY',
      'Cannot serve with a server that listens already: the manager does that. Do not call listen()',
    );
  const { allowHalfOpen = false } = server as { allowHalfOpen?: boolean };
  // HTTP/2 without TLS has no class of its own.
  const clientFirst = plain || server instanceof TlsServer || 'updateSettings' in server;
  return { server, allowHalfOpen, http, plain, clientFirst };
}
