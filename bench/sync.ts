// sendMessage + receiveMessage + close in one process beside a C loop that does the same. Prints Markdown.
//
// The two alternate within a round, each in a process of its own and on the same core, and the ratio is taken per round:
// on a shared machine absolute numbers swing by half.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compileC } from './c/compile.js';

const ROUNDS = Number(process.env.FDPASS_BENCH_ROUNDS ?? 15);

/** How many descriptors a message has, how many messages are half a second, and what the ratio to C shall be at least. */
const cases = [
  { count: 1, messages: 120_000, goal: 0.85 },
  { count: 16, messages: 50_000, goal: 1.0 },
  { count: 253, messages: 6_000, goal: 1.2 },
];

const program = compileC('sync');
if (program === undefined) {
  console.log('No C compiler (cc): there is nothing to measure beside.');
  process.exit(1);
}
const ours = fileURLToPath(new URL('./peers/fdpass-sync.js', import.meta.url));
/** Pinned to one core where that can be done: moving to another one in the middle costs some rounds a tenth. */
const pin = spawnSync('taskset', ['-c', '0', 'true']).status === 0 ? ['taskset', '-c', '0'] : [];

console.log(
  `### Synchronous calls: send + receive + close in one process, 64 bytes, Node ${process.versions.node}\n`,
);
console.log(
  '| descriptors | messages/s | descriptors/s | beside C (close each) | goal | beside C (close_range) |',
);
console.log('|---:|---:|---:|---:|---:|---:|');
for (const { count, messages, goal } of cases) {
  const { rate, plain, range } = compare(program, count, messages);
  console.log(
    `| ${count} | ${thousands(rate)} | ${thousands(rate * count)} | ${plain.toFixed(2)}× | ${goal.toFixed(2)}× | ${range.toFixed(2)}× |`,
  );
}
console.log(`\nMedians of ${ROUNDS} rounds; the ratio is of messages a second within a round.\n`);

function compare(c: string, count: number, messages: number): { rate: number; plain: number; range: number } {
  const rates: number[] = [];
  const plain: number[] = [];
  const range: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const c1 = seconds(c, count, messages, 'plain');
    const taken = seconds(process.execPath, ours, count, messages);
    const c2 = seconds(c, count, messages, 'range');
    rates.push(messages / taken);
    plain.push(c1 / taken);
    range.push(c2 / taken);
  }
  return { rate: median(rates), plain: median(plain), range: median(range) };
}

function seconds(...command: readonly (string | number)[]): number {
  const [first = '', ...rest] = [...pin, ...command.map(String)];
  const { stdout, status } = spawnSync(first, rest, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command[0]} failed`);
  return Number(stdout);
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en');
}
