// What clients see when workers die, hang and change under load. Each client retries nothing. Short here, long in
// `npm run soak`.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { fixturePath, startProgram } from '../helpers/children.js';
import { Load, request } from '../helpers/http-clients.js';
import { nextReady, pidsOf, startManager } from '../helpers/managers.js';
import { Random } from '../helpers/random.js';

/** How often the worst happens in each test: counted, so that a busy machine is slower and not wrong. */
const times = process.env.FDPASS_SOAK === undefined ? 8 : 300;
const timeout = times * 2_000 + 30_000;
const SEED = 20_261_121;
/** What is left is the request that was being executed: one at most, and seldom that. Only many kills have a mean. */
const errorsForEachKill = times < 100 ? 1 : 0.2;

/** Kills a random worker every 200 ms. @returns how many */
async function killWorkers(manager: Parameters<typeof pidsOf>[0]): Promise<number> {
  const random = new Random(SEED);
  let kills = 0;
  while (kills < times) {
    await sleep(200);
    // One that is still starting has no client to lose; killed again and again, it is started after ever longer pauses.
    const ready = manager.stats().workers.filter(({ state }) => state === 'ready');
    const pid = ready[random.below(ready.length)]?.pid;
    if (pid === undefined) continue;
    process.kill(pid, 'SIGKILL');
    kills += 1;
  }
  return kills;
}

/** The same, but nobody dies while another is dead: a request is replayed once, and must not meet a second death. */
async function killWorkersInTurn(manager: Parameters<typeof pidsOf>[0]): Promise<void> {
  for (let kill = 0; kill < times; kill++) {
    const pid = pidsOf(manager)[kill % 2] ?? 0;
    const ready = nextReady(manager);
    process.kill(pid, 'SIGKILL');
    await ready;
    await sleep(200);
  }
}

it('a killed worker costs its clients nothing it had not begun', { timeout }, async () => {
  const { manager, port } = await startManager();
  const load = new Load(port, 16);
  const kills = await killWorkers(manager);
  const { counts, errors } = await load.stop();
  expect(counts.hung).toBe(0);
  expect(counts.reset).toBe(0);
  expect(errors).toBeLessThanOrEqual(kills * errorsForEachKill);
  await expect.poll(() => manager.stats().held, { timeout: 5_000 }).toBe(0);
});

it('a killed worker that accepts by itself costs its clients nothing it had not begun', {
  timeout,
}, async () => {
  const { manager, port } = await startManager({ strategy: 'kernel' });
  const load = new Load(port, 16);
  const kills = await killWorkers(manager);
  const { counts, errors } = await load.stop();
  expect(counts.hung).toBe(0);
  expect(errors).toBeLessThanOrEqual(kills * errorsForEachKill);
});

it('with replay a killed worker costs nothing at all', { timeout }, async () => {
  const { manager, port } = await startManager({ replay: 'idempotent' });
  const load = new Load(port, 16);
  await killWorkersInTurn(manager);
  const { errors } = await load.stop();
  expect(errors).toBe(0);
});

it('with replay even slow requests are answered', { timeout }, async () => {
  const { manager, port } = await startManager({ replay: 'idempotent' });
  const load = new Load(port, 32, { path: '/?delay=20' });
  await killWorkersInTurn(manager);
  const { counts, errors } = await load.stop();
  expect(counts.hung).toBe(0);
  expect(errors).toBe(0);
  expect(manager.stats().replayed).toBeGreaterThan(0);
});

it.each(['push', 'kernel'] as const)(
  'a stopped worker stalls nobody longer than the watchdog (%s)',
  { timeout },
  async (strategy) => {
    const { manager, port } = await startManager({ watchdog: 300, strategy });
    const load = new Load(port, 16);
    await sleep(300);
    process.kill(pidsOf(manager)[0] ?? 0, 'SIGSTOP');
    await sleep(1_500);
    const { counts, errors, slowest } = await load.stop();
    expect(counts.hung).toBe(0);
    expect(errors).toBeLessThanOrEqual(1);
    // The watchdog, and what a very busy machine adds; without it the client would wait for ever.
    expect(slowest).toBeLessThan(300 + 4_000);
    expect(manager.stats().workers[0]?.restarts).toBe(1);
  },
);

it('a worker that never reads is passed over and then replaced', { timeout }, async () => {
  const { manager, port } = await startManager({
    worker: fixturePath('prefork-deaf'),
    workers: 1,
    watchdog: 400,
    respawn: { delay: 10 },
  });
  const hung = new Promise((resolve) => manager.once('hung', resolve));
  const pending = Promise.all(Array.from({ length: 40 }, () => request(port)));
  await hung;
  await manager.stop({ timeout: 0 });
  const outcomes = new Set((await pending).map(({ outcome }) => outcome));
  expect(outcomes.has('hung')).toBe(false);
});

it('reloads in a loop without a client noticing', { timeout }, async () => {
  const { manager, port } = await startManager();
  const short = new Load(port, 8);
  const keep = new Load(port, 20, { keep: true });
  for (let reload = 0; reload < times / 2; reload++) {
    await manager.reload();
    await sleep(100);
  }
  const [ofShort, ofKeep] = await Promise.all([short.stop(), keep.stop()]);
  expect(ofShort.counts).toMatchObject({ hung: 0, reset: 0, eof: 0, refused: 0 });
  expect(ofKeep.counts).toMatchObject({ hung: 0, reset: 0, eof: 0, refused: 0 });
});

it('changes workers that accept by themselves, and who comes with one request notices nothing', {
  timeout,
}, async () => {
  const { manager, port } = await startManager({ strategy: 'kernel' });
  const load = new Load(port, 12);
  for (let round = 0; round < times / 4; round++) {
    await manager.reload();
    await sleep(100);
    await manager.scale(3);
    await sleep(100);
    await manager.scale(1);
    await sleep(100);
  }
  const { counts } = await load.stop();
  expect(counts).toMatchObject({ hung: 0, reset: 0, eof: 0, refused: 0 });
});

it('scales in a loop without a client noticing', { timeout }, async () => {
  const { manager, port } = await startManager();
  const short = new Load(port, 8);
  const keep = new Load(port, 10, { keep: true });
  for (let round = 0; round < times / 2; round++) {
    await manager.scale(3);
    await sleep(100);
    await manager.scale(1);
    await sleep(100);
  }
  const [ofShort, ofKeep] = await Promise.all([short.stop(), keep.stop()]);
  expect(ofShort.counts).toMatchObject({ hung: 0, reset: 0, eof: 0, refused: 0 });
  expect(ofKeep.counts).toMatchObject({ hung: 0, reset: 0, eof: 0, refused: 0 });
});

it('at its descriptor limit the manager neither spins nor loses', { timeout }, async () => {
  const script = fixturePath('prefork-manager');
  const child = startProgram('sh', ['-c', `ulimit -n 48; exec "${process.execPath}" "${script}"`]);
  const { port } = JSON.parse(await child.firstLine()) as { port: number };
  const [before, start] = [cpuOf(child.pid), performance.now()];
  const answers = await Promise.all(Array.from({ length: 60 }, () => request(port, '/?delay=1000')));
  expect(answers.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
  expect(child.stdout).toContain('"event":"pressure"');
  // One that spins takes all the time there is.
  const elapsed = performance.now() - start;
  expect((cpuOf(child.pid) - before) * 10).toBeLessThan(elapsed / 4);
  child.process.kill('SIGTERM');
  expect((await child.exited).code).toBe(0);
});

/** Clock ticks of 10 ms that a process has used. */
function cpuOf(pid: number): number {
  const fields = readStat(pid).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function readStat(pid: number): string {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2);
}
