// The manager and its workers as programs see them. Alone in the run: each test starts several processes.
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { get as getHttps } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FdpassError } from 'fdpass';
import { Manager, renderPrometheus } from 'fdpass/prefork';
import { expect, it } from 'vitest';
import { fixturePath, isRoot, startFixture, UNPRIVILEGED_UID } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { Client, request } from '../helpers/http-clients.js';
import { countDescriptors } from '../helpers/leaks.js';
import { nextReady, pidsOf, startManager } from '../helpers/managers.js';

/** Sends a line and reads to the end. */
async function ask(where: { port: number; host: string } | { path: string }, line: string): Promise<string> {
  const socket = connect(where);
  socket.write(`${line}\n`);
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text.trim();
}

const at = (port: number) => ({ port, host: '127.0.0.1' });

it('spreads connections over the workers and counts them', async () => {
  const { manager, port } = await startManager();
  const answers = await Promise.all(Array.from({ length: 20 }, () => request(port)));
  expect(answers.map(({ outcome }) => outcome)).toEqual(Array(20).fill('ok'));
  expect(new Set(answers.map(({ worker }) => worker))).toEqual(new Set(pidsOf(manager)));
  const stats = manager.stats();
  expect(stats).toMatchObject({ accepted: 20, refused: 0, dropped: 0, reassigned: 0 });
  expect(stats.workers.map(({ load, pid }) => load === pid)).toEqual([true, true]);
  expect(stats.workers.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(20);
  const text = renderPrometheus(stats);
  expect(text).toContain('fdpass_prefork_connections_accepted_total 20\n');
  expect(text).toContain('fdpass_prefork_worker_up{worker="1"} 1\n');
});

it('takes turns exactly with round-robin', async () => {
  const { port } = await startManager({ policy: 'round-robin' });
  const workers: number[] = [];
  for (let n = 0; n < 6; n++) workers.push((await request(port)).worker);
  expect(workers.slice(2)).toEqual(workers.slice(0, -2));
  expect(workers[0]).not.toBe(workers[1]);
});

it('gives to whom reported the least with least-load', async () => {
  const { manager, port } = await startManager({ policy: 'least-load' });
  const client = new Client(port);
  const { worker: first } = await client.get();
  const other = pidsOf(manager).find((pid) => pid !== first);
  await client.get('/?load=1000000000');
  await expect.poll(() => manager.stats().workers.map(({ load }) => load)).toContain(1_000_000_000);
  for (let n = 0; n < 4; n++) expect((await request(port)).worker).toBe(other);
  await client.get('/?load=0');
  await expect.poll(() => manager.stats().workers.map(({ load }) => load)).toContain(0);
  expect((await request(port)).worker).toBe(first);
  client.close();
});

it('gives in proportion with weighted', async () => {
  const { manager, port } = await startManager({ policy: 'weighted', weights: [3, 1] });
  const workers: number[] = [];
  for (let n = 0; n < 8; n++) workers.push((await request(port)).worker);
  const [heavy, light] = pidsOf(manager);
  expect(workers.filter((pid) => pid === heavy).length).toBe(6);
  expect(workers.filter((pid) => pid === light).length).toBe(2);
  // Interleaved: the light one does not come twice in a row.
  expect(workers.findIndex((pid, at) => pid === light && workers[at + 1] === light)).toBe(-1);
});

it('gives to the index that a function names, and waits for the worker that is not there', async () => {
  const { manager, port } = await startManager({ policy: () => 1 });
  for (let n = 0; n < 3; n++) expect((await request(port)).worker).toBe(pidsOf(manager)[1]);
  const exit = once(manager, 'exit');
  process.kill(pidsOf(manager)[1] ?? 0, 'SIGKILL');
  await exit;
  const { outcome, worker } = await request(port);
  expect({ outcome, worker }).toEqual({ outcome: 'ok', worker: pidsOf(manager)[1] });
});

it('keeps a client address with one worker with sticky', async () => {
  const { port } = await startManager({ policy: 'sticky', workers: 3 });
  const answers = await Promise.all(Array.from({ length: 12 }, () => request(port)));
  expect(new Set(answers.map(({ worker }) => worker)).size).toBe(1);
});

it('serves several listeners by name: TCP, Unix and a given socket', async () => {
  const path = join(tmpdir(), `fdpass-test-${process.pid}.sock`);
  const given = createServer().listen(0, '127.0.0.1');
  await once(given, 'listening');
  const { port: givenPort } = given.address() as { port: number };
  const { manager, port } = await startManager({
    worker: fixturePath('prefork-raw'),
    listen: [
      { port: 0, host: '127.0.0.1', name: 'tcp' },
      { path, name: 'unix' },
      { fd: (given as unknown as { _handle: { fd: number } })._handle, name: 'given' },
    ] as never,
  });
  given.close();
  expect(await ask(at(port), 'a')).toMatch(/^\d tcp a$/);
  expect(await ask({ path }, 'b')).toMatch(/^\d unix b$/);
  expect(await ask(at(givenPort), 'c')).toMatch(/^\d given c$/);
  await manager.stop();
  expect(existsSync(path)).toBe(false);
});

it('asks a function who gets a connection, by its first bytes', async () => {
  const seen: string[] = [];
  const { port } = await startManager({
    worker: fixturePath('prefork-raw'),
    workers: 3,
    peekBytes: 64,
    policy: ({ firstBytes, peer }, workers) => {
      seen.push(`${peer.family} ${Buffer.from(firstBytes)}`);
      return workers.find(({ index }) => index === Number(Buffer.from(firstBytes).toString()))?.index;
    },
  });
  expect(await ask(at(port), '2')).toBe('2 0 2');
  expect(await ask(at(port), '1')).toBe('1 0 1');
  expect(await ask(at(port), 'x')).toMatch(/^\d 0 x$/);
  expect(seen).toEqual(['IPv4 2\n', 'IPv4 1\n', 'IPv4 x\n']);
});

it('refuses before a worker is bothered', async () => {
  const { manager, port } = await startManager({ admit: { rate: 0.001, burst: 2 } });
  expect((await request(port)).outcome).toBe('ok');
  expect((await request(port)).outcome).toBe('ok');
  expect((await request(port)).outcome).not.toBe('ok');
  expect(manager.stats().refused).toBe(1);
  const other = await startManager({ admit: (peer) => peer.family === 'IPv6', policy: 'round-robin' });
  expect((await request(other.port)).outcome).not.toBe('ok');
});

it('passes connections on with what was read, and messages with descriptors', async () => {
  const { port } = await startManager({
    worker: fixturePath('prefork-raw'),
    policy: () => 0,
  });
  expect(await ask(at(port), 'pass 1')).toBe('1 0 from 0');
  expect(await ask(at(port), 'most 1')).toBe('1 0 262144');
  expect(await ask(at(port), 'much 1')).toBe(
    'Cannot pass the connection on with 262145 bytes: the limit is 262144',
  );
  expect(await ask(at(port), 'much 1024')).toBe(
    'Cannot pass the connection on: 1024 is no index of a worker',
  );
  expect(await ask(at(port), 'text 1')).toBe(
    "Cannot pass the connection on with 'text': give the bytes as a Uint8Array",
  );
  expect(await ask(at(port), 'refused')).toBe('Cannot take connections with undefined: give a function');
  expect(await ask(at(port), 'share 1')).toBe('1 wrote for 0: hi');
});

it('opens channels between workers, and says something to all', async () => {
  const { manager, port } = await startManager({
    worker: fixturePath('prefork-mesh'),
    workers: 3,
    policy: () => 0,
  });
  expect(await ask(at(port), 'to 2')).toBe('2 heard hello, 2 heard again');
  expect(await ask(at(port), 'all')).toBe('1 heard everybody, 2 heard everybody');
  await expect.poll(() => manager.stats().held).toBe(0);
});

it('starts a dead worker again at its index', async () => {
  const { manager, port } = await startManager();
  const [first = 0, second] = pidsOf(manager);
  const exit = once(manager, 'exit');
  const ready = nextReady(manager);
  process.kill(first, 'SIGKILL');
  expect((await exit)[0]).toMatchObject({ index: 0, pid: first, code: null, signal: 'SIGKILL' });
  expect(pidsOf(manager)).toEqual([await ready, second]);
  expect(manager.stats().workers[0]?.restarts).toBe(1);
  expect((await request(port)).outcome).toBe('ok');
});

it('says when workers end before they are ready', async () => {
  const manager = new Manager({
    listen: { port: 0, host: '127.0.0.1' },
    worker: fixturePath('prefork-exit'),
    workers: 1,
    execArgv: [],
    respawn: { delay: 1 },
  });
  const error = await manager.start().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FdpassError);
  expect(error).toMatchObject({ code: 'ERR_FDPASS_WORKER' });
});

it('moves idle connections to the new workers when it reloads', async () => {
  const { manager, port } = await startManager();
  const before = pidsOf(manager);
  const clients = Array.from({ length: 10 }, () => new Client(port));
  for (const client of clients) expect((await client.get()).outcome).toBe('ok');
  const silent = new Client(port);
  await once(silent.socket, 'connect');
  const ended = Promise.all(before.map(() => new Promise((resolve) => manager.once('exit', resolve))));
  await manager.reload();
  await ended;
  const after = pidsOf(manager);
  for (const client of [...clients, silent]) {
    const { outcome, worker } = await client.get();
    expect(outcome).toBe('ok');
    expect(after).toContain(worker);
    client.close();
  }
  expect(before.filter((pid) => after.includes(pid))).toEqual([]);
  expect(manager.stats().moved).toBe(11);
});

it('keeps the old workers when new ones do not become ready', async () => {
  const file = join(tmpdir(), `fdpass-test-fail-${process.pid}`);
  atEndOfTest(() => rmSync(file, { force: true }));
  const { manager, port } = await startManager({ env: { ...process.env, FAIL_IF_EXISTS: file } });
  const before = pidsOf(manager);
  writeFileSync(file, '');
  await expect(manager.reload()).rejects.toMatchObject({ code: 'ERR_FDPASS_WORKER' });
  expect(pidsOf(manager)).toEqual(before);
  expect((await request(port)).outcome).toBe('ok');
});

it('scales up and down', async () => {
  const { manager, port } = await startManager({ workers: 1 });
  await manager.scale(3);
  expect(new Set(pidsOf(manager)).size).toBe(3);
  const exits = [1, 2].map(() => new Promise((resolve) => manager.once('exit', resolve)));
  await manager.scale(1);
  await Promise.all(exits);
  expect(manager.size).toBe(1);
  expect((await request(port)).outcome).toBe('ok');
});

it('lets a request under way finish when it stops', async () => {
  const { manager, port } = await startManager();
  const idle = new Client(port);
  await idle.get();
  const slow = request(port, '/?delay=300');
  while (manager.stats().held < 2) await new Promise((resolve) => setImmediate(resolve));
  const start = performance.now();
  await manager.stop();
  expect(performance.now() - start).toBeLessThan(5_000);
  expect((await slow).outcome).toBe('ok');
  expect((await request(port)).outcome).toBe('refused');
  idle.close();
});

it('takes in who waits in the queue of the kernel when it stops', async () => {
  const { manager, port } = await startManager();
  const clients = Array.from({ length: 10 }, () => new Client(port));
  // They are connected by then, and nobody has accepted them: the loop has not turned.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const accepted = manager.stats().accepted;
  const stopped = manager.stop();
  expect({ before: accepted, after: manager.stats().accepted }).toEqual({ before: 0, after: clients.length });
  const answers = await Promise.all(clients.map((client) => client.get()));
  expect(answers.map(({ outcome }) => outcome)).toEqual(Array(clients.length).fill('ok'));
  await stopped;
});

it('serves net, https and http2, and drops the rights of workers', async () => {
  const uid = isRoot() ? UNPRIVILEGED_UID : process.getuid?.();
  const { manager } = await startManager({
    worker: fixturePath('prefork-servers'),
    listen: ['net', 'https', 'http2'].map((name) => ({ port: 0, host: '127.0.0.1', name })),
    ...(isRoot() ? { uid: UNPRIVILEGED_UID, gid: UNPRIVILEGED_UID } : {}),
  });
  const [net = 0, https = 0, http2 = 0] = manager.addresses.map(({ port }) => port ?? 0);
  expect(await ask(at(net), 'hello')).toBe(`net ${uid}`);
  expect(await getSecurely(https)).toBe('https');
  const session = connectHttp2(`https://127.0.0.1:${http2}`, { rejectUnauthorized: false });
  const stream = session.request();
  let text = '';
  for await (const chunk of stream) text += chunk;
  expect(text).toBe('http2');
  const closed = once(session, 'close');
  await manager.reload();
  await closed;
});

it('leaves no descriptor behind in manager and workers', async () => {
  const { manager, port } = await startManager();
  const many = () => Promise.all(Array.from({ length: 50 }, () => request(port)));
  await many();
  await expect.poll(() => manager.stats().held).toBe(0);
  const before = pidsOf(manager).map(descriptorsOf);
  const here = countDescriptors();
  await many();
  await many();
  await expect.poll(() => pidsOf(manager).map(descriptorsOf)).toEqual(before);
  await expect.poll(countDescriptors).toBe(here);
});

it('accepts in the kernel, one socket for each worker', async () => {
  const { manager, port } = await startManager({ strategy: 'kernel' });
  const answers = await Promise.all(Array.from({ length: 40 }, () => request(port)));
  expect(answers.map(({ outcome }) => outcome)).toEqual(Array(40).fill('ok'));
  expect(new Set(answers.map(({ worker }) => worker)).size).toBe(2);
  const ready = nextReady(manager);
  process.kill(pidsOf(manager)[0] ?? 0, 'SIGKILL');
  const during = await Promise.all(Array.from({ length: 20 }, () => request(port)));
  // One request may have been under way.
  expect(during.filter(({ outcome }) => outcome === 'ok').length).toBeGreaterThanOrEqual(19);
  await ready;
  expect((await request(port)).outcome).toBe('ok');
});

it('serves elsewhere what a killed worker had accepted by itself and not read', async () => {
  const { manager, port } = await startManager({ strategy: 'kernel' });
  const open = () => pidsOf(manager).reduce((sum, pid) => sum + socketsOf(pid), 0);
  const before = open();
  const clients = Array.from({ length: 24 }, () => new Client(port));
  // Nearly all: what a worker sends when it begins is open for a moment, too. The others wait in the kernel's queues.
  await expect.poll(open).toBeGreaterThanOrEqual(before + clients.length - 4);
  expect(manager.stats().held).toBe(0);
  const exit = once(manager, 'exit');
  const [pid = 0, survivor = 0] = pidsOf(manager);
  const his = socketsOf(survivor);
  process.kill(pid, 'SIGKILL');
  const [{ reassigned, closed }] = (await exit) as [{ reassigned: number; closed: number }];
  expect(closed).toBe(0);
  expect(reassigned).toBeGreaterThan(0);
  await expect.poll(() => socketsOf(survivor)).toBeGreaterThan(his);
  const outcomes = await Promise.all(clients.map((client) => client.get()));
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(Array(clients.length).fill('ok'));
  for (const client of clients) client.close();
});

it('hands descriptors out of what a worker accepts by itself', async () => {
  const path = join(tmpdir(), `fdpass-test-kernel-${process.pid}.sock`);
  const { manager, port } = await startManager({
    strategy: 'kernel',
    worker: fixturePath('prefork-raw'),
    listen: [
      { port: 0, host: '127.0.0.1', name: 'tcp' },
      { path, name: 'unix' },
    ],
  });
  expect(await ask(at(port), 'a')).toMatch(/^\d tcp a$/);
  expect(await ask({ path }, 'b')).toMatch(/^\d unix b$/);
  await manager.stop();
});

it('ends its keeper with a worker', async () => {
  const { manager } = await startManager({ strategy: 'kernel' });
  const keepers = pidsOf(manager).flatMap(childrenOf);
  await expect.poll(() => keepers.map(nameOf)).toEqual(['fdpass-keeper', 'fdpass-keeper']);
  await manager.stop();
  await expect.poll(() => keepers.filter((pid) => nameOf(pid) !== undefined)).toEqual([]);
});

it('ends its workers when it is killed', async () => {
  const child = startFixture('prefork-manager');
  const { pids } = JSON.parse(await child.firstLine()) as { pids: number[] };
  await child.kill();
  for (const pid of pids) await gone(pid);
});

it('stops at SIGTERM and replaces its workers at SIGHUP', async () => {
  const child = startFixture('prefork-manager');
  const { pids, port } = JSON.parse(await child.firstLine()) as { pids: number[]; port: number };
  child.process.kill('SIGHUP');
  for (const pid of pids) await gone(pid);
  expect((await request(port)).outcome).toBe('ok');
  child.process.kill('SIGTERM');
  expect(await child.line(1)).toBe('{"event":"stopped"}');
  expect((await child.exited).code).toBe(0);
});

it('refuses wrong options by name', () => {
  const worker = 'worker.js';
  const cases = [
    { listen: [], worker },
    { listen: { port: 0 }, worker, workers: 0 },
    { listen: { port: 0 }, worker, policy: 'best' },
    { listen: { port: 0 }, worker, strategy: 'pull' },
    { listen: { port: 0 }, worker, watchdog: 1 },
    { listen: { port: '8080' }, worker },
    { listen: { port: 0 }, worker, replay: true },
    { listen: { port: 0 } },
    undefined,
  ];
  for (const options of cases) {
    const make = () => new Manager(options as never);
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_INVALID_ARGUMENT' }));
  }
});

function getSecurely(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', rejectUnauthorized: false, agent: false };
    getHttps(options, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve(text);
    }).on('error', reject);
  });
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Sockets only: a keeper that begins opens a file for a moment, in the table that it shares. */
function socketsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((name) => linkOf(join(folder, name)).startsWith('socket:')).length;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** `undefined`: it has ended, whether or not anybody took note of it. */
function nameOf(pid: number): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return /^State:\s+Z/m.test(status) ? undefined : /^Name:\s+(.*)$/m.exec(status)?.[1];
  } catch {
    return undefined;
  }
}

/** Waits until a process that is not a child of this one has ended. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
