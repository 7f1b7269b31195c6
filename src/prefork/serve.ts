import type { Server } from 'node:net';
import { refusal } from '../errors.js';
import { needNumber } from '../fd.js';
import { inheritedSocket } from '../parent.js';
import { WORKER_VARIABLE, type WorkerFacts } from './member.js';
import type { RawHandler } from './raw.js';
import { type ServeOptions, Worker } from './worker.js';

let current: Worker | undefined;

/**
 * The worker that this process is.
 *
 * @throws {FdpassError} `ERR_FDPASS_NO_PARENT` — this process was not started by a manager
 * @example
 * ```ts
 * import { isWorker, Manager, onConnection, worker } from 'fdpass/prefork';
 *
 * if (isWorker()) {
 *   onConnection((fd) => fd.close());
 *   worker().on('message', (data) => worker().send('manager', `${worker().index} has ${data.length} bytes`));
 * } else {
 *   const manager = new Manager({ listen: { port: 0 }, workers: 1, worker: new URL(import.meta.url) });
 *   await manager.start();
 *   manager.once('message', (data) => {
 *     console.log(Buffer.from(data).toString()); // 0 has 5 bytes
 *     void manager.stop();
 *   });
 *   manager.send(0, 'hello');
 * }
 * ```
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

/**
 * Whether this process was started by a manager (and `worker()` works).
 *
 * @example
 * ```ts
 * import { isWorker } from 'fdpass/prefork';
 *
 * console.log(isWorker() ? 'a worker' : 'a program of its own'); // a program of its own
 * ```
 */
export function isWorker(): boolean {
  return current !== undefined || process.env[WORKER_VARIABLE] !== undefined;
}

/**
 * Serves the manager's connections with `server`; see {@link Worker.serve}.
 *
 * @throws {FdpassError} `ERR_FDPASS_NO_PARENT` — this process was not started by a manager
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no server, or the manager has no listener of that name
 * @throws {FdpassError} `ERR_FDPASS_BUSY` — an HTTP server that listens already
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { isWorker, Manager, serve } from 'fdpass/prefork';
 *
 * if (isWorker()) {
 *   serve(createServer((_request, response) => response.end(`Hello from ${process.pid}\n`)));
 * } else {
 *   await using manager = new Manager({ listen: { port: 0 }, workers: 1, worker: new URL(import.meta.url) });
 *   await manager.start();
 *   const response = await fetch(`http://localhost:${manager.port}/`);
 *   console.log(await response.text());
 * }
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
 * import { connect } from 'node:net';
 * import { isWorker, Manager, onConnection } from 'fdpass/prefork';
 *
 * if (isWorker()) {
 *   onConnection((fd, info) => {
 *     const socket = fd.toSocket();
 *     socket.end('220 hello\r\n');
 *     socket.once('close', () => info.done());
 *   });
 * } else {
 *   const manager = new Manager({ listen: { port: 0 }, workers: 1, worker: new URL(import.meta.url) });
 *   await manager.start();
 *   const client = connect(manager.port ?? 0, 'localhost', () => client.end());
 *   for await (const greeting of client) console.log(`${greeting}`); // 220 hello
 *   await manager.stop();
 * }
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
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { isWorker, Manager, report, serve } from 'fdpass/prefork';
 *
 * if (isWorker()) {
 *   let under = 0;
 *   const server = createServer((_request, response) => {
 *     report(++under); // of its own kind: what a request costs here
 *     response.end('done', () => report(--under));
 *   });
 *   serve(server);
 * } else {
 *   const listen = { port: 0 };
 *   const manager = new Manager({ listen, workers: 2, policy: 'least-load', worker: new URL(import.meta.url) });
 *   await manager.start();
 *   console.log(await (await fetch(`http://localhost:${manager.port}/`)).text()); // done
 *   await manager.stop();
 * }
 * ```
 */
export function report(load: number): void {
  worker().report(load);
}
