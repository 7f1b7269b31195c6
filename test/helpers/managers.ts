/** Managers of tests: started on a free port, stopped at the end of the test. */
import { once } from 'node:events';
import { Manager, type ManagerOptions } from 'fdpass/prefork';
import { fixturePath } from './children.js';
import { atEndOfTest } from './cleanup.js';

/** A running manager and its port. */
export async function startManager(
  options: Partial<ManagerOptions> = {},
): Promise<{ manager: Manager; port: number }> {
  const manager = new Manager({
    listen: { port: 0, host: '127.0.0.1' },
    worker: fixturePath('prefork-http'),
    workers: 2,
    execArgv: [],
    ...options,
  });
  atEndOfTest(() => manager.stop({ timeout: 500 }));
  await manager.start();
  return { manager, port: manager.port ?? 0 };
}

/** The pids of the workers, by index. */
export function pidsOf(manager: Manager): number[] {
  return manager.stats().workers.map(({ pid }) => pid ?? 0);
}

/** Waits until a worker is ready whose pid is not among `before`. */
export async function nextReady(manager: Manager): Promise<number> {
  const [worker] = (await once(manager, 'ready')) as [{ pid: number }];
  return worker.pid;
}
