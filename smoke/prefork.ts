/** A manager and workers of this runtime: serving, reloading, a worker that dies, the end. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Manager, type ManagerOptions } from 'fdpass/prefork';
import { check, openSockets, same, until } from './check.js';

type Strategy = 'push' | 'kernel';

/** `kernel` needs a SO_REUSEPORT that spreads connections. */
const STRATEGIES: readonly Strategy[] = process.platform === 'linux' ? ['push', 'kernel'] : ['push'];
const WORKERS = 2;
const CLIENTS = 8;
/** Deno opens a pair of its own some time after the first child. What is lost here is lost more than twice. */
const LATE = 2;

/** What a worker of this runtime refuses, by the name that `prefork-worker.ts` knows. */
const REFUSED: Partial<Record<Strategy, string>> = {
  ...(process.versions.bun === undefined ? {} : { push: 'https', kernel: 'https' }),
  ...('Deno' in globalThis ? { kernel: 'raw' } : {}),
};

export async function checkPrefork(): Promise<void> {
  for (const strategy of STRATEGIES) {
    await check(`a manager with workers (${strategy}) leaves no socket open`, async () => {
      await withManager({ strategy }, async (manager) => {
        await ask(await client(manager));
      });
      const before = openSockets();
      await withManager({ strategy }, serveReloadAndLose);
      await until(() => openSockets() <= before + LATE);
    });

    const refused = REFUSED[strategy];
    if (refused === undefined) continue;
    await check(`what a worker cannot serve here is refused (${strategy}: ${refused})`, async () => {
      const codes: string[] = [];
      await withManager(
        { strategy, args: [refused] },
        async (manager) => {
          await until(() => codes.length > 0);
          same(codes[0], 'ERR_FDPASS_UNSUPPORTED_RUNTIME');
          await ask(await client(manager));
        },
        codes,
      );
    });
  }
}

async function withManager(
  options: Pick<ManagerOptions, 'strategy' | 'args'>,
  use: (manager: Manager, strategy: Strategy) => Promise<void>,
  messages: string[] = [],
): Promise<void> {
  const manager = new Manager({
    listen: { port: 0, host: '127.0.0.1' },
    worker: new URL('prefork-worker.js', import.meta.url),
    workers: WORKERS,
    ...options,
  });
  manager.on('message', (data) => messages.push(new TextDecoder().decode(data)));
  try {
    await manager.start();
    await use(manager, options.strategy ?? 'push');
  } finally {
    await manager.stop();
  }
}

async function serveReloadAndLose(manager: Manager, strategy: Strategy): Promise<void> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => client(manager)));
  const first = new Set(await askAll(clients));
  if (strategy === 'push') same(first.size, WORKERS);

  await manager.reload();
  // Those of `kernel` close: the manager has no copy of them. Else an old worker may answer until it has heard of it.
  if (strategy === 'kernel') await until(() => clients.every((socket) => socket.destroyed));
  else for (const socket of clients) while (first.has(await ask(socket)));

  const lost = await stopped(manager);
  const waiting = await Promise.all(Array.from({ length: CLIENTS }, () => client(manager)));
  const answers = askAll(waiting);
  const exit = once(manager, 'exit');
  process.kill(lost, 'SIGKILL');
  await exit;
  same(
    (await answers).filter((pid) => pid === lost),
    [],
  );
  for (const socket of [...clients, ...waiting]) socket.destroy();
}

/** The pid of a worker that stands still from now on. */
async function stopped(manager: Manager): Promise<number> {
  const socket = await client(manager);
  const pid = await ask(socket);
  process.kill(pid, 'SIGSTOP');
  socket.destroy();
  return pid;
}

async function client(manager: Manager): Promise<Socket> {
  const socket = connect(manager.port ?? 0, '127.0.0.1');
  // An idle connection that a worker closes may tell it so.
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

function askAll(clients: readonly Socket[]): Promise<number[]> {
  return Promise.all(clients.map(ask));
}

/** The pid of the worker that answers on the connection. */
function ask(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (data: Uint8Array): void => {
      text += new TextDecoder().decode(data);
      const [, pid] = /\r\n\r\n(\d+)$/.exec(text) ?? [];
      if (pid === undefined) return;
      socket.off('data', onData).off('close', onClose);
      resolve(Number(pid));
    };
    const onClose = (): void => reject(new Error(`closed instead of answered, after '${text}'`));
    socket.on('data', onData).once('close', onClose);
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  });
}
