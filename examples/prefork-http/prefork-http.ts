// A prefork HTTP server. PORT (8080), WORKERS (one for each processor), STRATEGY (push, kernel), REPLAY (1), WATCHDOG
// (milliseconds). Prints `ready` when all workers serve; SIGTERM ends it, SIGHUP replaces the workers.
import { Manager } from 'fdpass/prefork';

const { PORT = '8080', WORKERS, STRATEGY, REPLAY, WATCHDOG = '1000' } = process.env;
const replay = REPLAY === '1' || REPLAY === 'idempotent';

const manager = new Manager({
  // HTTP clients speak first: a connection is accepted when its first bytes are there (Linux).
  listen: {
    port: Number(PORT),
    host: '127.0.0.1',
    ...(process.platform === 'linux' ? { deferAccept: 1 } : {}),
  },
  worker: new URL('./worker.js', import.meta.url),
  // Checked by the manager, which names what there is.
  ...(STRATEGY === undefined ? {} : { strategy: STRATEGY as 'push' | 'kernel' }),
  replay: replay ? 'idempotent' : false,
  watchdog: Number(WATCHDOG),
  signals: true,
  ...(WORKERS === undefined ? {} : { workers: Number(WORKERS) }),
});

await manager.start();
console.log('ready');
