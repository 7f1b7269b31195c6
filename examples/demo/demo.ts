// npm start: descriptors of every kind travel between two processes that did not fork from each other.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const folder = mkdtempSync(join(realpathSync(tmpdir()), 'fdpass-demo-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'meeting');

// Its own session and pipes for standard streams: no terminal, and nothing of the sender's.
const receiver = spawn(process.execPath, [program('receiver'), path], {
  stdio: ['pipe', 'pipe', 'inherit'],
  detached: true,
});
const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
await lines.next(); // it listens

const sender = spawn(process.execPath, [program('sender'), path, folder, String(receiver.pid)], {
  stdio: 'inherit',
});
console.log('Descriptors between two processes that did not fork from each other:');
console.log(`  receiver: process ${receiver.pid}, started first, without a terminal`);
console.log(`  sender:   process ${sender.pid}`);
console.log(
  `Both were started by this launcher (${process.pid}), which gave them a path to meet at and nothing else.\n`,
);

const sent = await ended(sender);
receiver.stdin.end(); // tells the receiver that the sender is gone
const { value: last = 'nothing' } = await lines.next();
const { value: counts = '' } = await lines.next();
const [before, after] = String(counts).split(' ');
const received = await ended(receiver);
console.log(`The receiver had ${before} open before and ${after} after.`);

const outlived = last === `sent by process ${sender.pid}`;
console.log(
  `${outlived ? '✓' : '✗'} a file whose sender is dead\n    the receiver read '${last}' after that process had ended`,
);
process.exitCode = sent === 0 && received === 0 && outlived && before === after ? 0 : 1;

function program(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}
