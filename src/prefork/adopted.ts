import type { Server as HttpServer } from 'node:http';
import type { Server, Socket } from 'node:net';

/** The manager's name of a connection; a socket that has none is not the manager's, or no longer. */
export const slotOf: unique symbol = Symbol('fdpass.slot');

/** A connection that a server here was given. */
export interface Adopted extends Socket {
  [slotOf]?: number;
}

/** A server that connections are given to. */
export interface Target {
  readonly server: Server;
  readonly allowHalfOpen: boolean;
  /** Whether idle connections can be told and moved: plain HTTP. */
  readonly http: HttpServer | undefined;
}
