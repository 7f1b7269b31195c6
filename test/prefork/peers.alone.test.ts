// What serves behind a manager besides servers of Node's own modules: frameworks, and workers in other languages that were
// written from docs/prefork.md. Alone in the run: each test starts several processes.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Manager } from 'fdpass/prefork';
import { describe, expect, it } from 'vitest';
import { fixturePath, hasPython } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { Client, request } from '../helpers/http-clients.js';
import { nextReady, pidsOf, startManager } from '../helpers/managers.js';

const sourceOf = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const hasCompiler = spawnSync('cc', ['--version']).status === 0;

describe.each(['express', 'fastify', 'hono'])('an application of %s', (framework) => {
  const start = () =>
    startManager({
      worker: fixturePath('prefork-frameworks'),
      env: { ...process.env, FRAMEWORK: framework },
    });

  it('answers each connection, and a kept one from a new worker after a reload', async () => {
    const { manager, port } = await start();
    const kept = new Client(port);
    const before = pidsOf(manager);
    expect(before).toContain((await kept.get()).worker);
    const answers = await Promise.all(Array.from({ length: 8 }, () => request(port)));
    expect(new Set(answers.map(({ worker }) => worker))).toEqual(new Set(before));
    const ended = Promise.all(before.map(() => new Promise((resolve) => manager.once('exit', resolve))));
    await manager.reload();
    await ended;
    const after = await kept.get();
    expect(after.outcome).toBe('ok');
    expect(pidsOf(manager)).toContain(after.worker);
    kept.close();
  });

  it('loses no connection that a killed worker had not begun', async () => {
    const { manager, port } = await start();
    await expectNothingLost(manager, port);
  });
});

it.skipIf(!hasPython())(
  'a worker in Python serves, is replaced when it is killed, and ends when it is told to (needs python3)',
  async () => {
    await expectGoodWorker({ command: 'python3', args: [sourceOf('prefork_worker.py')] });
  },
);

it.skipIf(!hasCompiler)(
  'a worker in C serves, is replaced when it is killed, and ends when it is told to (needs cc)',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fdpass-test-'));
    atEndOfTest(() => rmSync(folder, { recursive: true }));
    const program = join(folder, 'worker');
    const options = ['-O1', '-Wall', '-Wextra', '-Werror', '-o', program];
    const { status, stderr } = spawnSync('cc', [...options, sourceOf('prefork_worker.c')], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    await expectGoodWorker({ command: program });
  },
);

async function expectGoodWorker(worker: { command: string; args?: string[] }): Promise<void> {
  const { manager, port } = await startManager({ worker, watchdog: 1_000 });
  const many = () => Promise.all(Array.from({ length: 20 }, () => request(port)));
  const answers = await many();
  expect(answers.map(({ outcome }) => outcome)).toEqual(Array(20).fill('ok'));
  expect(new Set(answers.map(({ worker: pid }) => pid))).toEqual(new Set(pidsOf(manager)));
  await expect.poll(() => manager.stats().held).toBe(0);

  const ready = nextReady(manager);
  process.kill(pidsOf(manager)[0] ?? 0, 'SIGKILL');
  expect((await many()).filter(({ outcome }) => outcome !== 'ok').length).toBeLessThanOrEqual(1);
  await ready;

  const old = pidsOf(manager);
  const ended = Promise.all(old.map(() => new Promise((resolve) => manager.once('exit', resolve))));
  await manager.reload();
  await ended;
  expect((await many()).map(({ outcome }) => outcome)).toEqual(Array(20).fill('ok'));
  expect(pidsOf(manager).filter((pid) => old.includes(pid))).toEqual([]);
}

/** Connections that have sent nothing when one of the two workers is killed: all of them are answered. */
async function expectNothingLost(manager: Manager, port: number): Promise<void> {
  const clients = Array.from({ length: 12 }, () => new Client(port));
  await expect.poll(() => manager.stats().held).toBe(clients.length);
  const exit = once(manager, 'exit');
  process.kill(pidsOf(manager)[0] ?? 0, 'SIGKILL');
  const [{ reassigned, closed }] = (await exit) as [{ reassigned: number; closed: number }];
  expect({ reassigned, closed }).toEqual({ reassigned: clients.length / 2, closed: 0 });
  const answers = await Promise.all(clients.map((client) => client.get()));
  expect(answers.map(({ outcome }) => outcome)).toEqual(Array(clients.length).fill('ok'));
  for (const client of clients) client.close();
}
