import { refusal, shown } from '../errors.js';
import type { WorkerView } from './options.js';

/** Figures of one worker. */
export interface WorkerStats extends WorkerView {
  readonly pid: number | undefined;
  readonly state: 'starting' | 'ready' | 'draining' | 'dead';
  /** Connections this run of the worker was given. */
  readonly accepted: number;
  /** Sent and not confirmed yet. */
  readonly inFlight: number;
  /** How often the worker at this index was started again. */
  readonly restarts: number;
  /** How long connections waited in the manager before they were sent, in milliseconds. */
  readonly handOff: { readonly mean: number; readonly max: number };
}

/** Figures of a manager since its start. */
export interface ManagerStats {
  readonly accepted: number;
  /** Refused by `admit`. */
  readonly refused: number;
  /** Closed because no worker could take them in time. */
  readonly dropped: number;
  /** Connections of dead workers, not begun, that went to others. */
  readonly reassigned: number;
  /** Requests of dead workers that went to others. */
  readonly replayed: number;
  /** Connections of dead workers that were closed: they had begun. */
  readonly closed: number;
  /** Connections that a live worker handed on. */
  readonly moved: number;
  /** Open connections of which the manager has a copy. */
  readonly held: number;
  /** Connections that wait for a worker or for their first bytes. */
  readonly waiting: number;
  /** Whether the manager is accepting; if not, the kernel's queues grow. */
  readonly accepting: boolean;
  readonly workers: readonly WorkerStats[];
}

const COUNTERS = ['accepted', 'refused', 'dropped', 'reassigned', 'replayed', 'closed', 'moved'] as const;

/**
 * Figures as the text that Prometheus reads.
 *
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — `stats` is not what a manager's `stats()` returns
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { isWorker, Manager, renderPrometheus, serve } from 'fdpass/prefork';
 *
 * if (isWorker()) {
 *   serve(createServer((_request, response) => response.end('hello')));
 * } else {
 *   const manager = new Manager({ listen: { port: 0 }, workers: 1, worker: new URL(import.meta.url) });
 *   await manager.start();
 *   console.log(renderPrometheus(manager.stats())); // an HTTP server of yours serves it
 *   await manager.stop();
 * }
 * ```
 */
export function renderPrometheus(stats: ManagerStats): string {
  if (!Array.isArray((stats as ManagerStats | undefined | null)?.workers))
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot render ${shown(stats)}: give what stats() of a manager returns`,
    );
  const lines: string[] = [];
  const family = (name: string, type: string, help: string, samples: readonly string[]): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples);
  };
  for (const name of COUNTERS) {
    const full = `fdpass_prefork_connections_${name}_total`;
    family(full, 'counter', `Connections ${name}.`, [`${full} ${stats[name]}`]);
  }
  for (const name of ['held', 'waiting'] as const) {
    const full = `fdpass_prefork_connections_${name}`;
    family(full, 'gauge', `Connections ${name} now.`, [`${full} ${stats[name]}`]);
  }
  family('fdpass_prefork_accepting', 'gauge', 'Whether the manager is accepting.', [
    `fdpass_prefork_accepting ${Number(stats.accepting)}`,
  ]);
  const each = (name: string, type: string, help: string, figure: (worker: WorkerStats) => number): void => {
    const full = `fdpass_prefork_worker_${name}`;
    const samples = stats.workers.map((worker) => `${full}{worker="${worker.index}"} ${figure(worker)}`);
    family(full, type, help, samples);
  };
  each('up', 'gauge', 'Whether the worker is ready.', (worker) => Number(worker.state === 'ready'));
  each('connections_accepted_total', 'counter', 'Connections given to it.', (worker) => worker.accepted);
  each('connections_active', 'gauge', 'Connections it has.', (worker) => worker.active);
  each('load', 'gauge', 'What it reported.', (worker) => worker.load);
  each('restarts_total', 'counter', 'How often it was started again.', (worker) => worker.restarts);
  each('hand_off_seconds_mean', 'gauge', 'Mean time in the manager.', (worker) => worker.handOff.mean / 1000);
  return `${lines.join('\n')}\n`;
}
