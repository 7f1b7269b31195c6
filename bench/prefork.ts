// The prefork manager beside node:cluster, one process and a prefork server in C. Prints Markdown.
//
// A fresh server for each run, two workers, two seconds of warm-up, alternating rounds; ratios are taken within a round
// and their medians shown. The clients burn the same processors, so the server's processor time stands beside the rate.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { compileC } from './c/compile.js';
import { type ServerCommand, ServerProcess } from './prefork/server-process.js';

const ROUNDS = Number(process.env.FDPASS_BENCH_ROUNDS ?? 5);
const SECONDS = Number(process.env.FDPASS_BENCH_SECONDS ?? 3);
const WARM_UP = 2;
/** Which parts run: `16`, `256`, `keep`, `kill`; and which servers: parts of their names. */
const PARTS = process.env.FDPASS_BENCH_PARTS?.split(',') ?? ['16', '256', 'keep', 'kill'];
const ONLY = process.env.FDPASS_BENCH_SERVERS?.split(',') ?? [''];
const FIRST_PORT = 18_300;
/** How often a worker is killed. */
const KILL_EVERY = 200;

interface Result {
  readonly rate: number;
  readonly p99: number;
  readonly ok: number;
  readonly refused: number;
  readonly reset: number;
  readonly eof: number;
  readonly hung: number;
  readonly bad: number;
  readonly workers: readonly number[];
}

interface Run extends Result {
  /** Microseconds of processor time for each answer. */
  readonly manager: number;
  readonly each: number;
}

const load = compileC('load');
const yardstick = compileC('prefork');
if (load === undefined || yardstick === undefined) {
  console.log('No C compiler (cc): there are no clients to measure with.');
  process.exit(1);
}
const clients: string = load;

const node = process.execPath;
const example = fileURLToPath(new URL('../examples/prefork-http/prefork-http.js', import.meta.url));
const cluster = fileURLToPath(new URL('./prefork/cluster.js', import.meta.url));
const byCluster: ServerCommand = { name: 'node:cluster round robin', command: node, args: [cluster] };
const push: ServerCommand = { name: '**fdpass push**', command: node, args: [example] };
const replay: ServerCommand = { ...push, name: '**fdpass push, replay**', env: { REPLAY: '1' } };
const kernel: ServerCommand = { ...push, name: '**fdpass kernel**', env: { STRATEGY: 'kernel' } };
const byKernel = { ...byCluster, name: 'node:cluster SCHED_NONE', env: { MODE: 'none' } };
/** The most that Node reaches without anybody between its clients and its workers. */
const byReuse = { ...byCluster, name: 'reusePort', env: { MODE: 'reuse' } };
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const sharesPorts = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
const single = { ...byCluster, name: 'one process', env: { MODE: 'single' } };
const inC: ServerCommand = { name: 'C prefork', command: yardstick, args: ['2'] };
const chosen = (list: readonly ServerCommand[]): readonly ServerCommand[] =>
  list.filter(({ name }) => ONLY.some((part) => name.includes(part)));
const plain = sharesPorts ? [byKernel, byReuse, single] : [byKernel, single];
const servers = chosen([byCluster, ...plain, push, replay, kernel, inC]);

let port = FIRST_PORT;

console.log(`### Prefork, 2 workers, Node ${process.versions.node}\n`);
for (const count of [16, 256]) if (PARTS.includes(String(count))) await compare('close', count);
if (PARTS.includes('keep')) await compare('keep', 50);
if (PARTS.includes('kill')) await kill();

async function compare(mode: 'close' | 'keep', count: number): Promise<void> {
  const runs = new Map<string, Run[]>(servers.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const server of servers) runs.get(server.name)?.push(await measure(server, mode, count));
  const what = mode === 'close' ? 'a connection for each request' : 'keep-alive';
  console.log(`${count} clients, ${what}, medians of ${ROUNDS} rounds\n`);
  console.log(
    '| server | answers/s | × cluster | p99 µs | manager µs/answer | × cluster | workers µs/answer | spread | errors |',
  );
  console.log('|---|---:|---:|---:|---:|---:|---:|---:|---:|');
  const base = runs.get(servers[0]?.name ?? '') ?? [];
  for (const [name, list] of runs) {
    const ratio = (of: (run: Run) => number): string =>
      median(list.map((run, round) => of(run) / (of(base[round] ?? run) || 1))).toFixed(2);
    const figure = (of: (run: Run) => number, digits = 0): string => median(list.map(of)).toFixed(digits);
    console.log(
      `| ${name} | ${figure((run) => run.rate)} | ${ratio((run) => run.rate)} | ${figure((run) => run.p99)} | ${figure((run) => run.manager, 1)} | ${ratio((run) => run.manager)} | ${figure((run) => run.each, 1)} | ${spread(list)} | ${list.reduce((sum, run) => sum + errorsOf(run), 0)} |`,
    );
  }
  console.log('');
}

async function measure(server: ServerCommand, mode: string, count: number): Promise<Run> {
  const running = await ServerProcess.start(server, port++);
  await drive(running.port, mode, count, WARM_UP);
  const before = running.cpu();
  const result = await drive(running.port, mode, count, SECONDS);
  const after = running.cpu();
  await running.stop();
  const micros = (time: number): number => time / 1000 / Math.max(1, result.ok);
  return {
    ...result,
    manager: micros(after.manager - before.manager),
    each: micros(after.workers - before.workers),
  };
}

async function drive(at: number, mode: string, count: number, seconds: number): Promise<Result> {
  const child = spawn(clients, [String(at), mode, String(count), String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await once(child, 'close');
  return JSON.parse(text) as Result;
}

/** A worker is killed with SIGKILL every 200 ms while 16 clients ask. */
async function kill(): Promise<void> {
  console.log(`A worker killed every ${KILL_EVERY} ms, 16 clients, ${ROUNDS} rounds of ${SECONDS} s\n`);
  console.log('| server | kills | answers/s | errors per kill | refused / reset / eof / hung | p99 µs |');
  console.log('|---|---:|---:|---:|---|---:|');
  const victims = chosen([byCluster, byKernel, push, replay, kernel]);
  const results = new Map<string, { kills: number; runs: Result[] }>(
    victims.map(({ name }) => [name, { kills: 0, runs: [] }]),
  );
  for (let round = 0; round < ROUNDS; round++) {
    for (const server of victims) {
      const entry = results.get(server.name);
      if (entry === undefined) continue;
      const { kills, result } = await killing(server);
      entry.kills += kills;
      entry.runs.push(result);
    }
  }
  for (const [name, { kills, runs }] of results) {
    const sum = (of: (run: Result) => number): number => runs.reduce((total, run) => total + of(run), 0);
    const kinds = [
      sum((run) => run.refused),
      sum((run) => run.reset),
      sum((run) => run.eof),
      sum((run) => run.hung),
    ];
    console.log(
      `| ${name} | ${kills} | ${median(runs.map((run) => run.rate)).toFixed(0)} | ${(sum(errorsOf) / kills).toFixed(2)} | ${kinds.join(' / ')} | ${median(runs.map((run) => run.p99)).toFixed(0)} |`,
    );
  }
  console.log('');
}

async function killing(server: ServerCommand): Promise<{ kills: number; result: Result }> {
  const running = await ServerProcess.start(server, port++);
  await drive(running.port, 'close', 16, WARM_UP);
  let kills = 0;
  const end = performance.now() + SECONDS * 1000;
  const timer = setInterval(() => {
    // Clients that hang are waited for longer.
    if (performance.now() > end) return;
    const { workers } = running;
    const pid = workers[kills % Math.max(1, workers.length)];
    if (pid === undefined) return;
    process.kill(pid, 'SIGKILL');
    kills += 1;
  }, KILL_EVERY);
  const result = await drive(running.port, 'close', 16, SECONDS);
  clearInterval(timer);
  await running.stop();
  return { kills, result };
}

function errorsOf(run: Result): number {
  return run.refused + run.reset + run.eof + run.hung + run.bad;
}

function spread(runs: readonly Run[]): string {
  const shares = runs.map(({ workers }) => {
    const sum = workers.reduce((total, answers) => total + answers, 0);
    return (100 * Math.max(0, ...workers)) / Math.max(1, sum);
  });
  const most = Math.round(median(shares));
  return most === 100 ? '100' : `${most}/${100 - most}`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
