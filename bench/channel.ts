// Channels between two processes beside a plain C loop, `child.send`, usocket and Python. Prints Markdown, draws SVG.
//
// All peers alternate within a round, and ratios are taken per round against the C loop of the same round: on a shared
// machine absolute numbers swing by half. Round trips are pinned to one core, where a wake-up costs the same for all.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileC } from './c/compile.js';
import { drawBars } from './chart.js';

const ROUNDS = Number(process.env.FDPASS_BENCH_ROUNDS ?? 7);
/** A round of usocket takes some seconds, or for ever. */
const USOCKET_MS = 20_000;
/** A folder with the npm package usocket built, if it is to be measured too. */
const USOCKET = process.env.FDPASS_BENCH_USOCKET;

const built = fileURLToPath(new URL('./peers/', import.meta.url));
const root = fileURLToPath(new URL('../../../', import.meta.url));
const sources = join(root, 'bench/peers');

interface Result {
  readonly rate: number;
  readonly lost: number;
  /** It did not come to an end, and has no rate. */
  readonly hung?: boolean;
}

interface Peer {
  readonly name: string;
  readonly most: number;
  /** `undefined`: it cannot be run here. */
  run(count: number, messages: number): Result | undefined;
}

const c = compileC('peer');
if (c === undefined) {
  console.log('No C compiler (cc): there is nothing to measure beside.');
  process.exit(1);
}

const node = process.execPath;
const yardstick: Peer = {
  name: 'C loop',
  most: 253,
  run: (count, messages) => json(c, ['stream', `${count}`, `${messages}`, 'plain']),
};
const peers: readonly Peer[] = [
  { name: 'C loop, close_range', most: 253, run: (k, n) => json(c, ['stream', `${k}`, `${n}`, 'range']) },
  fdpass("fdpass, 'message'", 'message'),
  fdpass('fdpass, for await', 'iterate'),
  {
    name: 'Python send_fds',
    most: 253,
    run: (k, n) => json('python3', [join(sources, 'send_fds.py'), `${k}`, `${n}`]),
  },
  {
    name: 'usocket',
    most: 253,
    // It loses descriptors, and then never ends: a short run with a time-out.
    run: (k, n) => (USOCKET ? usocket(USOCKET, k, Math.ceil(n / 4)) : undefined),
  },
  {
    name: 'child.send',
    most: 1,
    run: (_, n) => json(node, [join(built, 'child-send.js'), `${Math.ceil(n / 40)}`]),
  },
];

/** Descriptors a message, messages, and what shall be reached beside the C loop. */
const cases = [
  { count: 1, messages: 150_000, goal: 1.0 },
  { count: 16, messages: 50_000, goal: 1.1 },
  { count: 253, messages: 4_000, goal: 1.2 },
];

console.log(
  `### Channels: two processes, 64 bytes and K descriptors a message, Node ${process.versions.node}\n`,
);
console.log('| | K = 1 | × C | K = 16 | × C | K = 253 | × C | lost |');
console.log('|---|---:|---:|---:|---:|---:|---:|---:|');
const columns = cases.map(measure);
for (const peer of [yardstick, ...peers]) console.log(row(peer));
console.log(`| goal | | ${cases.map(({ goal }) => `${goal.toFixed(1)}×`).join(' | | ')} | 0 |`);
console.log(
  `\nMessages a second, medians of ${ROUNDS} rounds; × C is the median of the ratios within each round.\n`,
);
drawChart();
roundTrips();

function fdpass(name: string, style: string): Peer {
  return { name, most: 10_000, run: (k, n) => json(node, [join(built, 'fdpass.js'), style, `${k}`, `${n}`]) };
}

function json<T = Result>(program: string, args: readonly string[], pin = false): T | undefined {
  const command = pin ? 'taskset' : program;
  const all = pin ? ['-c', '0', program, ...args] : args;
  const { status, stdout } = spawnSync(command, all, { encoding: 'utf8', timeout: 60_000 });
  return status === 0 && stdout.startsWith('{') ? (JSON.parse(stdout) as T) : undefined;
}

/** One round of usocket, ended from here when it hangs: either of its processes may spin. */
function usocket(folder: string, count: number, messages: number): Result | undefined {
  const args = [join(sources, 'usocket.cjs'), folder, `${count}`, `${messages}`];
  const { stdout, pid } = spawnSync(node, args, {
    encoding: 'utf8',
    timeout: USOCKET_MS,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let child: number | undefined;
  let arrived = 0;
  for (const line of stdout.split('\n').slice(0, -1)) {
    const said = JSON.parse(line) as { child?: number; arrived?: number } & Partial<Result>;
    if (said.rate !== undefined) return said as Result;
    child ??= said.child;
    arrived = said.arrived ?? arrived;
  }
  if (child === undefined) return undefined;
  endProcess(child);
  rmSync(`/tmp/fdpass-usocket-${pid}`, { force: true });
  return { rate: Number.NaN, lost: count * messages - arrived, hung: true };
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself when its parent was gone.
  }
}

interface Figures {
  rate: number;
  ratio: number;
  lost: number;
  hung: boolean;
}

interface Samples {
  readonly rates: number[];
  readonly ratios: number[];
  lost: number;
  hung: boolean;
}

/** The figures of every peer for one number of descriptors. */
function measure({ count, messages }: { count: number; messages: number }): Map<Peer, Figures> {
  const samples = new Map<Peer, Samples>();
  for (let round = 0; round < ROUNDS; round++) {
    const base = yardstick.run(count, messages)?.rate;
    if (base === undefined) throw new Error('The C loop failed');
    note(samples, yardstick, { rate: base, lost: 0 }, base);
    for (const peer of peers) {
      // One that hung once would take its whole time in every round.
      if (count > peer.most || samples.get(peer)?.hung) continue;
      const result = peer.run(count, messages);
      if (result) note(samples, peer, result, base);
    }
  }
  return new Map(
    Array.from(samples, ([peer, { rates, ratios, lost, hung }]) => [
      peer,
      { rate: median(rates), ratio: median(ratios), lost, hung },
    ]),
  );
}

function note(
  samples: Map<Peer, Samples>,
  peer: Peer,
  { rate, lost, hung = false }: Result,
  base: number,
): void {
  const sample = samples.get(peer) ?? { rates: [], ratios: [], lost: 0, hung: false };
  sample.lost += lost;
  sample.hung ||= hung;
  if (!hung) {
    sample.rates.push(rate);
    sample.ratios.push(rate / base);
  }
  samples.set(peer, sample);
}

function row(peer: Peer): string {
  const cells = columns.map((column) => {
    const figures = column.get(peer);
    if (figures === undefined) return '– | –';
    if (Number.isNaN(figures.rate)) return 'hung | –';
    return `${Math.round(figures.rate).toLocaleString('en')} | ${figures.ratio.toFixed(2)}`;
  });
  const all = columns.map((column) => column.get(peer));
  const lost = all.reduce((sum, figures) => sum + (figures?.lost ?? 0), 0);
  const hung = all.some((figures) => figures?.hung) ? ' / hung' : '';
  return `| ${peer.name} | ${cells.join(' | ')} | ${lost.toLocaleString('en')}${hung} |`;
}

function drawChart(): void {
  const bars = [yardstick, ...peers].flatMap((peer) => {
    const figures = columns[0]?.get(peer);
    return figures && figures.ratio > 0 ? [{ label: peer.name, value: figures.ratio }] : [];
  });
  const file = join(root, 'docs/bench.svg');
  if (!existsSync(join(root, 'docs'))) return;
  writeFileSync(file, drawBars('Messages with one descriptor a second, beside a plain C loop', bars));
  console.log('docs/bench.svg drawn\n');
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

function roundTrips(): void {
  console.log('### Round trips of one descriptor, both processes on one core\n');
  console.log('| | p50 µs | p99 µs | p50 × C |\n|---|---:|---:|---:|');
  const contestants: readonly [name: string, program: string, args: readonly string[]][] = [
    ['C loop', c as string, ['echo', '5000']],
    ['C loop that waits as libuv does', c as string, ['echo', '5000', 'epoll']],
    ['fdpass', node, [join(built, 'fdpass.js'), 'echo', '1', '5000']],
  ];
  const rounds: Quantiles[][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const results = contestants.map(([, program, args]) => json<Quantiles>(program, args, true));
    const whole = results.filter((result) => result !== undefined);
    if (whole.length < contestants.length) {
      console.log('| taskset is missing here | | | |');
      return;
    }
    rounds.push(whole);
  }
  contestants.forEach(([name], index) => {
    const of = (figure: (result: Quantiles, base: Quantiles) => number): number =>
      median(rounds.map((results) => figure(results[index] as Quantiles, results[0] as Quantiles)));
    const [p50, p99] = [of(({ p50 }) => p50), of(({ p99 }) => p99)];
    const ratio = of((result, base) => result.p50 / base.p50);
    console.log(`| ${name} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${ratio.toFixed(2)} |`);
  });
  console.log('| goal | | | ≤ 1.50 |\n');
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
