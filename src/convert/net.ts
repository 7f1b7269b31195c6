import type { NetConnectOpts, Server, Socket } from 'node:net';
import { checkInteger, checkOptions } from '../check-options.js';
import { calling, refusal, shown } from '../errors.js';
import type { FdInfo } from '../inspect.js';
import { MAX_INT } from '../limits.js';
import { runtime } from '../runtime.js';
import { unsupportedHere, wrongKind } from './kind.js';

/** How a descriptor becomes a `net.Socket`. */
export interface SocketOptions {
  /** Keeps the writable side open when the peer has ended its own; as in `node:net`. Default false. */
  readonly allowHalfOpen?: boolean;
  /** Reads nothing until `resume()` or `read()`, so that the connection can be passed on whole. Default false. */
  readonly pauseOnCreate?: boolean;
}

/** How a descriptor becomes a `net.Server`. */
export interface ServerOptions<S extends Server = Server> {
  /** The server that gets the descriptor, not listening yet; a `node:http` server, for one. Default: a new one. */
  readonly server?: S;
  /** How many connections the kernel keeps waiting. Default 511, as in Node. */
  readonly backlog?: number;
}

/** The options, read once and before the number is: their getters are code of the user, which may close it. */
export function socketOptions(options: SocketOptions): SocketOptions {
  checkOptions('convert with toSocket()', options);
  const { allowHalfOpen = false, pauseOnCreate = false } = options;
  return { allowHalfOpen, pauseOnCreate };
}

/** Opens a `net.Socket` on `fd`, which is its own from then on; nothing is moved when this throws. */
export function toSocket(fd: number, info: FdInfo, options: SocketOptions): Socket {
  if (!isStream(info)) throw wrongKind('toSocket', 'a connected TCP or Unix stream socket, or a pipe', info);
  return openSocket(fd, info, options);
}

/** The same without the check of the kind. */
export function openSocket(fd: number, info: FdInfo, options: SocketOptions): Socket {
  const { allowHalfOpen = false, pauseOnCreate = false } = options;
  if (runtime === 'bun') return connectInBun(fd, info, options);
  const directions = { readable: info.access !== 'write', writable: info.access !== 'read' };
  // `pauseOnCreate` is how Node's own server makes paused connections; its types do not have it.
  const all = { fd, allowHalfOpen, pauseOnCreate, ...directions };
  return calling(() => new (net().Socket)(all));
}

/** The options, read once and before the number is, as {@link socketOptions}. */
export function serverOptions<S extends Server>(options: ServerOptions<S>): ServerOptions<S> {
  checkOptions('convert with toServer()', options);
  const { server, backlog } = options;
  if (backlog !== undefined) checkInteger('convert with toServer()', 'backlog', backlog, 0, MAX_INT);
  return { ...(server !== undefined && { server }), ...(backlog !== undefined && { backlog }) };
}

/**
 * Opens a `net.Server` on `fd`, which is its own from then on; nothing is moved when this throws. `check` throws when code
 * of the user has closed `fd` meanwhile.
 */
export function toServer<S extends Server>(
  fd: number,
  info: FdInfo,
  options: ServerOptions<S>,
  check: () => void,
): S {
  const listening = (info.kind === 'tcp' || info.kind === 'unix') && info.listening;
  if (!listening) throw wrongKind('toServer', 'a listening TCP or Unix socket', info);
  const server = options.server ?? (net().createServer() as S);
  if (typeof server.listen !== 'function' || typeof server.once !== 'function') throw noServer(server);
  if (runtime === 'bun' && !(server instanceof net().Server))
    throw unsupportedHere('toServer', "Leave out options.server, and give 'connection's to it");
  if (server.listening) {
    const message = 'Cannot convert with toServer(): options.server listens already. Give one that does not';
    throw refusal('ERR_FDPASS_BUSY', message);
  }
  return startServer(server, fd, options.backlog, check);
}

/** Whether it is a connected byte stream that libuv takes over. */
export function isStream(info: FdInfo): boolean {
  if (info.kind === 'pipe') return true;
  if (info.kind === 'tcp') return !info.listening;
  return info.kind === 'unix' && info.socketType === 'stream' && !info.listening;
}

function connectInBun(
  fd: number,
  info: FdInfo,
  { allowHalfOpen = false, pauseOnCreate }: SocketOptions,
): Socket {
  if (info.kind === 'pipe') throw unsupportedHere('toSocket', 'Use toReadStream() or toWriteStream()');
  if (pauseOnCreate)
    throw unsupportedHere('toSocket', 'It cannot be kept from reading: leave out pauseOnCreate');
  return socketInBun(fd, allowHalfOpen);
}

/** Bun's sockets ignore the descriptor they are made with, and take it when they connect. */
export function socketInBun(fd: number, allowHalfOpen: boolean): Socket {
  const to = { fd } as unknown as NetConnectOpts;
  return calling(() => new (net().Socket)({ allowHalfOpen }).connect(to));
}

function noServer(value: unknown): Error {
  const message = `Cannot convert with toServer(): options.server cannot be ${shown(value)}. Give a net.Server or one made of it (node:http)`;
  return refusal('ERR_FDPASS_INVALID_ARGUMENT', message);
}

function startServer<S extends Server>(
  server: S,
  fd: number,
  backlog: number | undefined,
  check: () => void,
): S {
  let failure: unknown;
  const failed = (error: Error): void => {
    failure = error;
  };
  // Tells the server's listeners for 'newListener', which may do anything.
  server.once('error', failed);
  try {
    check();
  } catch (error) {
    server.off('error', failed);
    throw error;
  }
  // Exclusive: in a cluster worker the number would be looked up in the primary process, where it is another file.
  server.listen({ fd, exclusive: true, ...(backlog !== undefined && { backlog }) });
  if (server.listening) {
    server.off('error', failed);
    return server;
  }
  const message = `Cannot convert with toServer(): the runtime refused to listen on the descriptor. It stays with its Fd`;
  throw refusal('ERR_FDPASS_KIND', message, { cause: failure });
}

/** Loaded when needed and not by `import`: programs that convert nothing do not pay for it. */
function net(): typeof import('node:net') {
  return process.getBuiltinModule('node:net');
}
