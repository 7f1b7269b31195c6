/** Objects of Node that have a descriptor: where it is, whether it may leave, and how the object ends when it moved. */
import type { Socket as DatagramSocket } from 'node:dgram';
import type { Server, Socket } from 'node:net';
import { refusal, shown } from './errors.js';
import { MAX_INT } from './limits.js';
import { runtime } from './runtime.js';

/** Anything that says the number of its descriptor, as `FileHandle`, the streams of `node:fs` and terminals do. */
export interface HasFd {
  readonly fd: number;
}

/** What has a descriptor and is not of this library. Only the sockets and servers can be moved; the rest is lent. */
export type NodeSource = number | HasFd | Socket | Server | DatagramSocket;

/** What happens to the descriptor: a copy of it is lent, or it moves for good. */
export type Use = 'lend' | 'move';

interface Handle {
  readonly fd?: number;
}

/** The shape of `net.Socket`, `net.Server`, `dgram.Socket` and what they do not document. */
interface NodeSocket {
  readonly _handle?: Handle | null;
  readonly encrypted?: boolean;
  readonly connecting?: boolean;
  readonly destroyed?: boolean;
  readonly readableLength?: number;
  readonly writableLength?: number;
  readonly fd?: unknown;
  readonly address?: unknown;
  readonly destroy?: () => void;
  readonly close?: () => void;
}

/** A number that can be a descriptor. */
export function checkNumber(operation: string, fd: number): number {
  if (fd >= 0 && fd <= MAX_INT && Number.isInteger(fd)) return fd;
  throw refusal(
    'ERR_FDPASS_BAD_FD',
    `Cannot ${operation} ${fd}: a descriptor is an integer from 0 to ${MAX_INT}. Give the number of an open one`,
  );
}

/**
 * The number of the descriptor behind something of Node's; the object still owns it.
 *
 * `unread` says that bytes Node has read ahead are the caller's concern.
 */
export function numberOf(operation: string, source: unknown, use: Use, unread: boolean): number {
  if (typeof source === 'number') return lentNumber(operation, source, use);
  if (typeof source !== 'object' || source === null) throw noDescriptor(operation, source);
  const socket = source as NodeSocket;
  if (socket.encrypted === true)
    throw refused(operation, 'a TLS socket', 'its keys stay in this process. Send the plain socket below it');
  if (isServer(socket)) return serverNumber(operation, socket, use);
  if (isStreamSocket(socket)) return streamNumber(operation, socket, use, unread);
  const datagram = datagramHandle(socket);
  if (datagram !== undefined) return handleNumber(operation, 'a datagram socket', datagram, 'Bind it first');
  return memberNumber(operation, socket, use);
}

/** Ends the object whose descriptor moved away: it lets go of its own copy, and never touches the shared connection. */
export function endMoved(source: unknown): void {
  const socket = source as NodeSocket;
  if (socket.destroy !== undefined) socket.destroy();
  else socket.close?.();
}

function lentNumber(operation: string, fd: number, use: Use): number {
  checkNumber(operation, fd);
  if (use === 'move') throw onlyLent(operation, `the number ${fd}`, 'Wrap it with Fd.adopt()');
  return fd;
}

function serverNumber(operation: string, server: NodeSocket, use: Use): number {
  const number = handleNumber(operation, 'a server', server._handle, 'Have it listen first');
  const address = use === 'move' ? (server as unknown as Server).address() : null;
  if (typeof address === 'string' && !address.startsWith('\0')) {
    const why = 'Node removes the path when it closes its own copy. Lend it, or listen with fdpass';
    throw refused(operation, `the server at ${address} to be moved`, why);
  }
  return number;
}

function streamNumber(operation: string, socket: NodeSocket, use: Use, unread: boolean): number {
  if (socket.destroyed) throw closedObject(operation, 'the socket was destroyed');
  if (socket.connecting) throw refused(operation, 'a socket that connects', "wait for its 'connect' event");
  const number = handleNumber(operation, 'a socket', socket._handle, 'Connect it first');
  if (!unread && (socket.readableLength ?? 0) > 0) {
    const why = `${socket.readableLength} bytes that Node has read would stay behind. Read them and send them as data with readAhead: 'send'`;
    throw refused(operation, 'a socket with unread bytes', why);
  }
  if (use === 'move' && (socket.writableLength ?? 0) > 0) {
    const why = `${socket.writableLength} bytes would be lost. Wait until write() has called back`;
    throw refused(operation, 'a socket with unwritten bytes to be moved', why);
  }
  return number;
}

function handleNumber(
  operation: string,
  what: string,
  handle: Handle | null | undefined,
  remedy: string,
): number {
  const number = handle?.fd;
  if (typeof number === 'number' && number >= 0) return number;
  const why = runtime === 'deno' ? 'Deno does not tell its descriptor' : `it has no descriptor. ${remedy}`;
  throw refused(operation, what, why);
}

/** `FileHandle`, `fs.ReadStream`, anything with an `fd`. */
function memberNumber(operation: string, source: NodeSocket, use: Use): number {
  const { fd } = source;
  if (typeof fd !== 'number')
    throw fd === null
      ? refused(operation, 'a stream', "wait for its 'open' event")
      : noDescriptor(operation, source);
  if (fd === -1) throw closedObject(operation, 'the object that had the descriptor was closed');
  checkNumber(operation, fd);
  if (use === 'move')
    throw onlyLent(operation, `an object with the descriptor ${fd}`, 'Send a copy: Fd.duplicate()');
  return fd;
}

function isServer(source: NodeSocket): boolean {
  return '_handle' in source && 'listen' in source && 'close' in source;
}

/** A terminal is one too, and has a public `fd` as well; the handle's is the same. */
function isStreamSocket(source: NodeSocket): boolean {
  return '_handle' in source && 'readableLength' in source && 'connecting' in source;
}

/** `dgram.Socket` keeps its handle behind a symbol; its `_handle` would print a deprecation. */
function datagramHandle(source: NodeSocket): Handle | undefined {
  if (!('addMembership' in source)) return undefined;
  const symbol = Object.getOwnPropertySymbols(source).find(
    ({ description }) => description === 'state symbol',
  );
  const state = symbol && (source as unknown as Record<symbol, { handle?: Handle } | undefined>)[symbol];
  return state?.handle ?? {};
}

function refused(operation: string, what: string, why: string): Error {
  return refusal('ERR_FDPASS_NOT_SENDABLE', `Cannot ${operation} ${what}: ${why}`);
}

function onlyLent(operation: string, what: string, remedy: string): Error {
  const message = `Cannot move ${what} (${operation}): it can only be lent. ${remedy}`;
  return refusal('ERR_FDPASS_INVALID_TRANSFER', message);
}

function closedObject(operation: string, what: string): Error {
  return refusal('ERR_FDPASS_FD_CLOSED', `Cannot ${operation}: ${what}. Use it before that`);
}

function noDescriptor(operation: string, source: unknown): Error {
  const message = `Cannot ${operation} ${shown(source)}: it has no descriptor. Give an Fd, a number, or an object with a numeric fd`;
  return refusal('ERR_FDPASS_NOT_SENDABLE', message);
}
