import type { Manager } from './manager.js';

const STOP = ['SIGTERM', 'SIGINT'] as const;
const RELOAD = ['SIGHUP', 'SIGUSR2'] as const;

/** SIGTERM and SIGINT stop, SIGHUP and SIGUSR2 reload. @returns takes the handlers away again */
export function onSignals(manager: Manager): () => void {
  const stop = (): void => void manager.stop();
  const reload = (): void => {
    manager.reload().catch((error: Error) => process.emitWarning(error));
  };
  for (const signal of STOP) process.on(signal, stop);
  for (const signal of RELOAD) process.on(signal, reload);
  return () => {
    for (const signal of STOP) process.off(signal, stop);
    for (const signal of RELOAD) process.off(signal, reload);
  };
}
