import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Server, Socket } from 'node:net';

/** The manager's name of a connection; a socket that has none is not the manager's, or no longer. */
export const slotOf: unique symbol = Symbol('fdpass.slot');

/** The server that a connection was given to. */
export const targetOf: unique symbol = Symbol('fdpass.target');

/** A connection that a server here was given. */
export interface Adopted extends Socket {
  [slotOf]?: number;
  [targetOf]?: Target;
}

/** A server that connections are given to. */
export interface Target {
  readonly server: Server;
  readonly allowHalfOpen: boolean;
  /** Whose idle connections can be told: HTTP/1.1. */
  readonly http: HttpServer | HttpsServer | undefined;
  /** Whether they can be moved, too: nothing of them is in this process. */
  readonly plain: boolean;
  /** Whether clients speak first: of one that has not yet, nothing is lost when it is closed. */
  readonly clientFirst: boolean;
}
