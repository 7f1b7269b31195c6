/// <reference types="node" preserve="true" />

export type { ManagerEvents } from './events.js';
export { Manager } from './manager.js';
export type {
  AdmissionRate,
  GivenListen,
  IncomingConnection,
  ListenAddress,
  ManagerOptions,
  PolicyFunction,
  PolicyName,
  RespawnOptions,
  TcpListen,
  UnixListen,
  WorkerCommand,
  WorkerView,
} from './options.js';
export type { PeerAddress } from './peer.js';
export type { ConnectionInfo, RawHandler } from './raw.js';
export { isWorker, onConnection, report, serve, worker } from './serve.js';
export { type ManagerStats, renderPrometheus, type WorkerStats } from './stats.js';
export type { MessageTarget, ServeOptions, Worker, WorkerEvents } from './worker.js';
