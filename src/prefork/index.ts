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
export { type ManagerStats, renderPrometheus, type WorkerStats } from './stats.js';
export {
  type ConnectionInfo,
  isWorker,
  type MessageTarget,
  onConnection,
  report,
  type ServeOptions,
  serve,
  type Worker,
  type WorkerEvents,
  worker,
} from './worker.js';
