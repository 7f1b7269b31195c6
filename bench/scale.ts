// What grows and what does not: descriptors in one message, descriptors over time, idle channels. Prints Markdown.
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { type Channel, channelPair, Fd, type Message } from 'fdpass';

const TOTAL = Number(process.env.FDPASS_BENCH_DESCRIPTORS ?? 10_000_000);
const IDLE = 4_000;

// First: what the others leave behind would be used again.
await idleChannels();
await costPerDescriptor();
await flatOverTime();

/** A message of more than 253 descriptors is several frames; its cost a descriptor should not notice. */
async function costPerDescriptor(): Promise<void> {
  console.log('### One message of many descriptors\n');
  console.log('| descriptors | µs a message | ns a descriptor |\n|---:|---:|---:|');
  const file = Fd.adopt(openSync('/dev/null', 'r'));
  for (const count of [1, 16, 253, 1_000, 4_000, 10_000]) {
    const fds = Array.from({ length: count }, () => file);
    const rounds = Math.max(5, Math.ceil(100_000 / count));
    const times: number[] = [];
    const [left, right] = channelPair();
    // The first rounds teach both sides each other's limits, and grow the process's table of descriptors.
    for (let round = -3; round < rounds; round++) {
      const start = performance.now();
      const [, message] = await Promise.all([left.send('x', fds), right.receive()]);
      if (message?.fds.length !== count) throw new Error('The message did not arrive whole');
      message.fds.close();
      if (round >= 0) times.push((performance.now() - start) * 1000);
    }
    const middle = times.toSorted((a, b) => a - b)[rounds >> 1] ?? Number.NaN;
    console.log(
      `| ${count.toLocaleString('en')} | ${middle.toFixed(1)} | ${((middle * 1000) / count).toFixed(0)} |`,
    );
    left.destroy();
    right.destroy();
  }
  file.close();
}

/** Memory and open descriptors while millions pass. */
async function flatOverTime(): Promise<void> {
  console.log(`\n### ${TOTAL.toLocaleString('en')} descriptors\n`);
  console.log('| passed | resident MB | open descriptors |\n|---:|---:|---:|');
  const file = Fd.adopt(openSync('/dev/null', 'r'));
  const fds = Array.from({ length: 200 }, () => file);
  const [left, right] = channelPair();
  let passed = 0;
  let reported = 0;
  const step = TOTAL / 5;
  right.on('message', (message: Message<Uint8Array>) => {
    passed += message.fds.length;
  });
  for (let sent = 0; sent < TOTAL; sent += fds.length) {
    if (!left.post('x', fds)) await once(left, 'drain');
    if (passed - reported >= step || sent === 0) {
      reported = passed;
      report(passed);
    }
  }
  while (passed < TOTAL) await once(right, 'message');
  report(passed);
  left.destroy();
  right.destroy();
  file.close();
}

function report(passed: number): void {
  globalThis.gc?.();
  const resident = process.memoryUsage.rss() / 1e6;
  console.log(`| ${passed.toLocaleString('en')} | ${resident.toFixed(0)} | ${openDescriptors()} |`);
}

function openDescriptors(): number {
  // One of them is the folder itself.
  return readdirSync(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd').length - 1;
}

async function idleChannels(): Promise<void> {
  console.log(`\n### ${IDLE.toLocaleString('en')} idle channels\n`);
  growYoungGeneration();
  const spare: [Channel, Channel][] = Array.from({ length: 500 }, () => channelPair());
  globalThis.gc?.();
  const before = { memory: process.memoryUsage.rss(), threads: threads() };
  const pairs = Array.from({ length: IDLE / 2 }, () => channelPair());
  for (const [, right] of pairs) right.on('message', () => {});
  await new Promise((resolve) => setImmediate(resolve));
  globalThis.gc?.();
  const each = (process.memoryUsage.rss() - before.memory) / IDLE;
  console.log('| bytes each | more threads |\n|---:|---:|');
  console.log(`| ${Math.max(0, each).toFixed(0)} | ${threads() - before.threads} |\n`);
  for (const [left, right] of [...pairs, ...spare]) {
    left.destroy();
    right.destroy();
  }
}

/** V8's room for what is new grows in steps of megabytes with the first garbage of a program, whoever makes it. */
function growYoungGeneration(): void {
  let garbage: object[] = [];
  for (let made = 0; made < 3_000_000; made++) {
    garbage.push({ made });
    if (garbage.length === 50_000) garbage = [];
  }
}

function threads(): number {
  if (process.platform !== 'linux') return Number.NaN;
  return Number(/^Threads:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}
