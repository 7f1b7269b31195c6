// sendMessage + receiveMessage + close in one process beside a C loop that does the same. Prints Markdown.
//
// The two alternate within a round and the ratio is taken per round: on a shared machine absolute numbers swing by half.
import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { Fd, receiveMessage, sendMessage, socketPair } from 'fdpass';
import { compileC } from './c/compile.js';

const ROUNDS = Number(process.env.FDPASS_BENCH_ROUNDS ?? 15);
const ROUND_SECONDS = 0.25;

/** How many descriptors a message has, and what the ratio to C shall be at least. */
const cases = [
  { count: 1, goal: 0.85 },
  { count: 16, goal: 1.0 },
  { count: 253, goal: 1.2 },
];

const program = compileC('sync');
if (program === undefined) {
  console.log('No C compiler (cc): there is nothing to measure beside.');
  process.exit(1);
}

console.log(
  `### Synchronous calls: send + receive + close in one process, 64 bytes, Node ${process.versions.node}\n`,
);
console.log(
  '| descriptors | messages/s | descriptors/s | beside C (close each) | goal | beside C (close_range) |',
);
console.log('|---:|---:|---:|---:|---:|---:|');
for (const { count, goal } of cases) {
  const { rate, plain, range } = compare(program, count);
  console.log(
    `| ${count} | ${thousands(rate)} | ${thousands(rate * count)} | ${plain.toFixed(2)}× | ${goal.toFixed(2)}× | ${range.toFixed(2)}× |`,
  );
}
console.log(`\nMedians of ${ROUNDS} rounds; the ratio is of messages a second within a round.\n`);

function compare(c: string, count: number): { rate: number; plain: number; range: number } {
  const fds = Array.from({ length: count }, () => Fd.adopt(openSync('/dev/null', 'r')));
  const messages = Math.ceil((20_000 * ROUND_SECONDS) / loop(fds, 20_000 / (count + 1)) / (count + 1));
  const rates: number[] = [];
  const plain: number[] = [];
  const range: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const c1 = runC(c, count, messages, 'plain');
    const ours = loop(fds, messages);
    const c2 = runC(c, count, messages, 'range');
    rates.push(messages / ours);
    plain.push(c1 / ours);
    range.push(c2 / ours);
  }
  for (const fd of fds) fd.close();
  return { rate: median(rates), plain: median(plain), range: median(range) };
}

function loop(fds: Fd[], messages: number): number {
  const [left, right] = socketPair();
  const bytes = new Uint8Array(64);
  const start = performance.now();
  for (let i = 0; i < messages; i++) {
    sendMessage(left, bytes, fds);
    const message = receiveMessage(right);
    if (message?.fds.length !== fds.length) throw new Error('The message did not arrive whole');
    message.fds.close();
  }
  const seconds = (performance.now() - start) / 1000;
  left.close();
  right.close();
  return seconds;
}

function runC(c: string, count: number, messages: number, close: 'plain' | 'range'): number {
  const { stdout, status } = spawnSync(c, [String(count), String(messages), close], { encoding: 'utf8' });
  if (status !== 0) throw new Error('The C loop failed');
  return Number(stdout);
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en');
}
