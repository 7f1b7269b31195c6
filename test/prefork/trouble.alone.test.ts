// Programs that make mistakes, and things that happen at the same time. Alone in the run: each test starts processes.
import { once } from 'node:events';
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { FdpassError } from 'fdpass';
import { Manager, type ManagerOptions } from 'fdpass/prefork';
import { expect, it } from 'vitest';
import { fixturePath } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { request } from '../helpers/http-clients.js';
import { pidsOf, startManager } from '../helpers/managers.js';

const options: ManagerOptions = {
  listen: { port: 0, host: '127.0.0.1' },
  worker: fixturePath('prefork-http'),
  workers: 2,
  execArgv: [],
};

/** Connections that arrive while the manager's loop does not turn, so that it hands them over together. */
async function arriveTogether(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1' }));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return sockets;
}

it.each(['server', 'raw'])(
  'a handler that throws costs no connection that came with it (%s)',
  async (KIND) => {
    const { port } = await startManager({
      worker: fixturePath('prefork-throw'),
      workers: 1,
      env: { ...process.env, KIND },
    });
    const sockets = await arriveTogether(port, 10);
    // The first is its program's to close, as in any server whose handler throws.
    const [first, ...others] = sockets;
    expect(await Promise.all(others.map((socket) => text(socket)))).toEqual(Array(9).fill('served'));
    first?.destroy();
  },
);

it('starts nobody when it is stopped before it listens', async () => {
  const manager = new Manager({ ...options, signals: true });
  const listeners = process.listenerCount('SIGTERM');
  const started = manager.start();
  const stopped = manager.stop();
  await expect(started).rejects.toMatchObject({ code: 'ERR_FDPASS_CLOSED' });
  await stopped;
  expect(manager.stats().workers).toEqual([]);
  expect(process.listenerCount('SIGTERM')).toBe(listeners);
});

it('leaves no handler of signals when it is stopped before its workers are ready', async () => {
  const manager = new Manager({ ...options, signals: true });
  const listeners = process.listenerCount('SIGTERM');
  const started = manager.start();
  started.catch(() => undefined);
  await expect.poll(() => manager.size).toBe(2);
  await manager.stop();
  await expect(started).rejects.toMatchObject({ code: 'ERR_FDPASS_CLOSED' });
  expect(process.listenerCount('SIGTERM')).toBe(listeners);
});

it('says why there is no process', async () => {
  const worker = { command: 'no-such-program' };
  const manager = new Manager({ ...options, workers: 1, worker, respawn: { delay: 1 } });
  const error: FdpassError = await manager.start().catch((thrown) => thrown);
  expect(error.code).toBe('ERR_FDPASS_WORKER');
  expect(error.message).toMatch(/^Cannot start worker 0 \(tried \d times\): spawn no-such-program ENOENT$/);
  expect(error.cause).toMatchObject({ code: 'ENOENT' });
});

it('rolls a reload back when a new worker dies while another one starts', async () => {
  const file = join(tmpdir(), `fdpass-test-late-${process.pid}`);
  writeFileSync(file, '');
  atEndOfTest(() => rmSync(file, { force: true }));
  const { manager, port } = await startManager({
    worker: fixturePath('prefork-late'),
    env: { ...process.env, READY_FILE: file },
  });
  const before = pidsOf(manager);
  rmSync(file);
  const [ready, exit] = [once(manager, 'ready'), once(manager, 'exit')];
  const reloaded = manager.reload();
  const [{ index, pid }] = (await ready) as [{ index: number; pid: number }];
  expect(index).toBe(0);
  process.kill(pid, 'SIGKILL');
  await exit;
  writeFileSync(file, '');
  await expect(reloaded).rejects.toMatchObject({ code: 'ERR_FDPASS_WORKER' });
  expect(pidsOf(manager)).toEqual(before);
  expect((await request(port)).outcome).toBe('ok');
});

it('says that it was stopped while it reloaded', async () => {
  const { manager } = await startManager();
  const reloaded = manager.reload();
  reloaded.catch(() => undefined);
  await manager.stop();
  await expect(reloaded).rejects.toThrow(
    expect.objectContaining({
      code: 'ERR_FDPASS_CLOSED',
      message: 'Cannot reload: the manager is stopping',
    }),
  );
});

it('gives no two workers the same listening socket when it scales down during a reload', async () => {
  const { manager } = await startManager({ strategy: 'kernel' });
  const reloaded = manager.reload();
  await manager.scale(1);
  await reloaded;
  await manager.scale(3);
  await expect.poll(() => manager.stats().workers.map(({ state }) => state)).toEqual(Array(3).fill('ready'));
  const sockets = pidsOf(manager).flatMap(socketsOf);
  expect(sockets.filter((socket, at) => sockets.indexOf(socket) !== at)).toEqual([]);
});

/** Names of the sockets of a worker: its channel, where it listens, what its keeper uses. Not the standard streams. */
function socketsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder)
    .filter((name) => Number(name) > 2)
    .flatMap((name) => {
      try {
        return [readlinkSync(join(folder, name))];
      } catch {
        return [];
      }
    })
    .filter((link) => link.startsWith('socket:'));
}
