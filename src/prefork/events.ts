import type { FdpassError } from '../errors.js';
import type { Fd } from '../fd.js';

/** What a `Manager` tells. */
export interface ManagerEvents {
  /** A worker can take connections. */
  ready: [worker: { index: number; pid: number | undefined }];
  /** The process of a worker has ended; what became of its connections. */
  exit: [
    worker: {
      index: number;
      pid: number | undefined;
      code: number | null;
      signal: NodeJS.Signals | null;
      reassigned: number;
      replayed: number;
      closed: number;
    },
  ];
  /** A worker has work and is silent: it gets nothing more for now. */
  suspect: [worker: { index: number; pid: number | undefined }];
  /** It speaks again. */
  recovered: [worker: { index: number; pid: number | undefined }];
  /** It was silent for the whole `watchdog` time and is killed. */
  hung: [worker: { index: number; pid: number | undefined }];
  /** A worker ended `maxCrashes` times in a row before it was ready; from now on it is tried every `maxDelay`. */
  crashLoop: [worker: { index: number }];
  /**
   * A message of a worker. The descriptors are the listener's to close. `error`: descriptors of it were lost on the way
   * because a process was at its descriptor limit; then there are none.
   */
  message: [data: Uint8Array, fds: Fd[], from: number, error?: FdpassError];
  /** No worker can take connections: clients wait in the kernel's queue. */
  saturated: [];
  /** Accepting goes on. */
  accepting: [];
  /** The process or the system has no free descriptor: accepting rests. */
  pressure: [errno: string];
  /** A listening socket has failed and is left alone. */
  listenerFailed: [listener: string, errno: string];
  /** `reload()` is through. */
  reloaded: [];
  /** `stop()` is through. */
  stopped: [];
}
