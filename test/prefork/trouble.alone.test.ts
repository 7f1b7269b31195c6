// Programs that make mistakes, and things that happen at the same time. Alone in the run: each test starts processes.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FdpassError } from 'fdpass';
import { Manager, type ManagerOptions } from 'fdpass/prefork';
import { expect, it } from 'vitest';
import { fixturePath } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { Client, request } from '../helpers/http-clients.js';
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
      message: 'Cannot reload: the manager is stopping. Make a new one',
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

it('tells a function which workers are full, also within a batch', async () => {
  const { manager, port } = await startManager({
    maxConnections: 1,
    waitTimeout: 60_000,
    policy: (_connection, workers) => workers.find(({ available }) => available)?.index,
  });
  const [first, second] = await arriveTogether(port, 2).then(() => pidsOf(manager));
  expect(first).not.toBe(second);
  await expect.poll(() => manager.stats().workers.map(({ active }) => active)).toEqual([1, 1]);
  expect(manager.stats().workers.map(({ available }) => available)).toEqual([false, false]);
});

it('asks whether a connection may come in once, not again when its worker dies', async () => {
  let asked = 0;
  const { manager, port } = await startManager({ admit: () => ++asked <= 4 });
  const clients = Array.from({ length: 4 }, () => new Client(port));
  await expect.poll(() => manager.stats().held).toBe(4);
  const exit = once(manager, 'exit');
  process.kill(pidsOf(manager)[0] ?? 0, 'SIGKILL');
  await exit;
  const outcomes = await Promise.all(clients.map((client) => client.get()));
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(Array(4).fill('ok'));
  expect({ asked, refused: manager.stats().refused }).toEqual({ asked: 4, refused: 0 });
  for (const client of clients) client.close();
});

it('serves two listeners of one name with the server of that name', async () => {
  const { manager } = await startManager({
    worker: fixturePath('prefork-servers'),
    listen: ['net', 'net', 'https', 'http2'].map((name) => ({ port: 0, host: '127.0.0.1', name })),
  });
  for (const { port } of manager.addresses.slice(0, 2))
    expect(await text(connect({ port: port ?? 0, host: '127.0.0.1' }))).toMatch(/^net/);
});

it('serves two listeners with one HTTP server, which must not listen by itself', async () => {
  const { manager } = await startManager({
    worker: fixturePath('prefork-two-listeners'),
    listen: ['one', 'two'].map((name) => ({ port: 0, host: '127.0.0.1', name })),
  });
  for (const { port } of manager.addresses) {
    const response = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } });
    expect(await response.text()).toMatch(/^Cannot serve with a server that listens already.* Do not call/);
  }
});

it('moves idle HTTP connections of a worker that serves other protocols, and leaves those of the others alone', async () => {
  const { manager } = await startManager({
    worker: fixturePath('prefork-mixed'),
    listen: ['http', 'echo'].map((name) => ({ port: 0, host: '127.0.0.1', name })),
  });
  const [http = 0, echo = 0] = manager.addresses.map(({ port }) => port);
  const kept = new Client(http);
  expect((await kept.get()).outcome).toBe('ok');
  const silent = connect({ port: echo, host: '127.0.0.1' });
  await expect.poll(() => manager.stats().held).toBe(2);
  await manager.reload();
  await expect.poll(() => manager.stats().moved).toBe(1);
  const { outcome, worker } = await kept.get();
  expect({ outcome, isNew: pidsOf(manager).includes(worker) }).toEqual({ outcome: 'ok', isNew: true });
  // An HTTP connection that had said nothing would be closed by then.
  await sleep(1_200);
  silent.write('are you there?');
  expect(String((await once(silent, 'data'))[0])).toBe('are you there?');
  silent.destroy();
  kept.close();
});

it('says in the last answer of a connection that it is the last one, also when it was under way', async () => {
  const { manager, port } = await startManager();
  const client = connect({ port, host: '127.0.0.1' });
  client.write('GET /?delay=300 HTTP/1.1\r\nHost: a\r\n\r\n');
  await expect.poll(() => manager.stats().held).toBe(1);
  // The request is in the worker by the time the worker has answered another one.
  await Promise.all([request(port), request(port)]);
  const stopped = manager.stop();
  expect(await text(client)).toMatch(/^HTTP\/1\.1 200 .*Connection: close/s);
  await stopped;
});

it('says so over TLS, too, when it reloads', async () => {
  const { manager } = await startManager({
    worker: fixturePath('prefork-servers'),
    listen: ['net', 'https', 'http2'].map((name) => ({ port: 0, host: '127.0.0.1', name })),
    workers: 1,
  });
  const port = manager.addresses[1]?.port ?? 0;
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const ask = async (path: string): Promise<IncomingMessage> => {
    const [response] = await once(get({ port, host: '127.0.0.1', path, agent }), 'response');
    (response as IncomingMessage).resume();
    return response as IncomingMessage;
  };
  expect((await ask('/')).headers.connection).toBe('keep-alive');
  const slow = ask('/slow');
  await ask('/');
  await manager.reload();
  expect((await slow).headers.connection).toBe('close');
  agent.destroy();
});

it('closes a connection that waits for its worker as long as waitTimeout says', async () => {
  const { manager, port } = await startManager({ maxConnections: 1, waitTimeout: 100, policy: () => 0 });
  const first = new Client(port);
  expect((await first.get()).outcome).toBe('ok');
  expect((await request(port)).outcome).not.toBe('ok');
  expect(manager.stats()).toMatchObject({ accepted: 2, dropped: 1 });
  first.close();
});

it('says when nobody can take connections, and when somebody can again', async () => {
  const { manager, port } = await startManager({ workers: 1, maxConnections: 1 });
  const [saturated, accepting] = [once(manager, 'saturated'), once(manager, 'accepting')];
  const first = new Client(port);
  expect((await first.get()).outcome).toBe('ok');
  await saturated;
  const second = request(port);
  expect(manager.stats()).toMatchObject({ accepted: 1, accepting: false });
  first.close();
  await accepting;
  expect((await second).outcome).toBe('ok');
});

it('tells of a worker that is silent for a while, on a diagnostics channel what matters most', async () => {
  const published: string[] = [];
  const listen = (message: unknown): void => {
    const { event, worker } = message as { event: string; worker: { index: number } };
    published.push(`${event} ${worker.index}`);
  };
  subscribe('fdpass:prefork', listen);
  atEndOfTest(() => void unsubscribe('fdpass:prefork', listen));
  const { manager, port } = await startManager({ watchdog: 1_000, workers: 1 });
  const client = new Client(port);
  expect((await client.get()).outcome).toBe('ok');
  const [pid = 0] = pidsOf(manager);
  const [suspect, recovered] = [once(manager, 'suspect'), once(manager, 'recovered')];
  process.kill(pid, 'SIGSTOP');
  expect(await suspect).toEqual([{ index: 0, pid }]);
  process.kill(pid, 'SIGCONT');
  expect(await recovered).toEqual([{ index: 0, pid }]);
  expect((await client.get()).worker).toBe(pid);
  const [hung, exit] = [once(manager, 'hung'), once(manager, 'exit')];
  process.kill(pid, 'SIGSTOP');
  expect(await hung).toEqual([{ index: 0, pid }]);
  expect((await exit)[0]).toMatchObject({ index: 0, pid, signal: 'SIGKILL' });
  expect(published).toEqual(['ready 0', 'hung 0', 'exit 0']);
  client.close();
});

it('says when a worker ends again and again before it is ready, and goes on trying', async () => {
  const file = join(tmpdir(), `fdpass-test-loop-${process.pid}`);
  atEndOfTest(() => rmSync(file, { force: true }));
  const { manager, port } = await startManager({
    workers: 1,
    env: { ...process.env, FAIL_IF_EXISTS: file },
    respawn: { delay: 1, maxDelay: 50, maxCrashes: 2 },
  });
  writeFileSync(file, '');
  const looped = once(manager, 'crashLoop');
  process.kill(pidsOf(manager)[0] ?? 0, 'SIGKILL');
  expect(await looped).toEqual([{ index: 0 }]);
  const ready = once(manager, 'ready');
  rmSync(file);
  await ready;
  expect((await request(port)).outcome).toBe('ok');
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
