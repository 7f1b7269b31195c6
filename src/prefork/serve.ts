import type { Server } from 'node:net';
import { refusal } from '../errors.js';
import { needNumber } from '../fd.js';
import { inheritedSocket } from '../parent.js';
import { WORKER_VARIABLE, type WorkerFacts } from './member.js';
import { type RawHandler, type ServeOptions, Worker } from './worker.js';

let current: Worker | undefined;

/**
 * The worker that this process is.
 *
 * @throws {FdpassError} `ERR_FDPASS_NO_PARENT` — this process was not started by a manager
 */
export function worker(): Worker {
  current ??= attach();
  return current;
}

function attach(): Worker {
  const facts = process.env[WORKER_VARIABLE];
  if (facts === undefined)
    throw refusal(
      'ERR_FDPASS_NO_PARENT',
      `Cannot be a worker: ${WORKER_VARIABLE} is not set. Start this program as the worker of a Manager`,
    );
  const socket = inheritedSocket();
  delete process.env[WORKER_VARIABLE];
  needNumber('serve', socket);
  return new Worker(socket, JSON.parse(facts) as WorkerFacts);
}

/** Whether this process was started by a manager (and `worker()` works). */
export function isWorker(): boolean {
  return current !== undefined || process.env[WORKER_VARIABLE] !== undefined;
}

/**
 * Serves the manager's connections with `server`; see {@link Worker.serve}.
 *
 * @throws {FdpassError} `ERR_FDPASS_NO_PARENT` — this process was not started by a manager
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no server, or the manager has no listener of that name
 * @example
 * ```ts
 * serve(createServer((request, response) => response.end(`Hello from ${process.pid}\n`)));
 * ```
 */
export function serve(server: Server, options?: ServeOptions): Worker {
  worker().serve(server, options);
  return worker();
}

/**
 * Takes the manager's connections as descriptors; see {@link Worker.onConnection}.
 *
 * @throws {FdpassError} `ERR_FDPASS_NO_PARENT` — this process was not started by a manager
 * @example
 * ```ts
 * onConnection((fd, info) => {
 *   const socket = fd.toSocket();
 *   socket.end('220 hello\r\n');
 *   socket.once('close', () => info.done());
 * });
 * ```
 */
export function onConnection(handler: RawHandler, options?: ServeOptions): Worker {
  worker().onConnection(handler, options);
  return worker();
}

/**
 * Says how busy this worker is; see {@link Worker.report}.
 *
 * @throws {FdpassError} `ERR_FDPASS_NO_PARENT` — this process was not started by a manager
 */
export function report(load: number): void {
  worker().report(load);
}
