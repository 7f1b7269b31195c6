// The sender: makes descriptors of every kind, passes them, and checks what the receiver answers.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { Fd } from 'fdpass';
import { countOpen, hear, meet, say, settle, textOf } from './meeting.js';

const FILES = 1_000;
/** Below 253, the most that one message carries. */
const FILES_IN_A_MESSAGE = 250;

const [path = '', folder = '', receiver = ''] = process.argv.slice(2);
await settle();
const before = countOpen();
const socket = await meet(path);
let passed = 0;
let messages = 0;

passFile();
passPipe();
passTerminal();
await passListener();
await passConnection();
passManyFiles();
leave();

function passFile(): void {
  const secret = randomUUID();
  const file = openNew('secret', secret);
  const { device, inode } = file.describe();
  const answer = pass('file', [file]);
  check(answer === `${device}:${inode} ${secret}`, 'a file', [
    `the path was removed before (${existsSync(join(folder, 'secret')) ? 'no' : 'yes'}); the receiver read '${secret}' from it`,
    `device and inode are ${device}:${inode} on both sides`,
  ]);
}

function passPipe(): void {
  const fifo = join(folder, 'pipe');
  execFileSync('mkfifo', [fifo]);
  const both = Fd.adopt(openSync(fifo, 'r+')); // so that opening one end does not wait for the other
  const reader = Fd.adopt(openSync(fifo, 'r'));
  const writer = Fd.adopt(openSync(fifo, 'w'));
  both.close();
  const secret = randomUUID();
  writer.writeSync(secret);
  const answer = pass('pipe', [reader]);
  writer.close();
  check(answer === secret, 'a pipe', [`'${secret}', written here, was read there`]);
}

function passTerminal(): void {
  const number = [1, 2, 0].find((fd) => isatty(fd));
  if (number === undefined) {
    console.log('- a terminal: there is none here; run `npm start` in one to see it');
    return;
  }
  const answer = pass('terminal This line was written on your terminal by', [Fd.duplicate(number)]);
  check(answer === 'tty', 'a terminal', ['the line above comes from the receiver, which has no terminal']);
}

async function passListener(): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const listener = Fd.duplicate(server);
  server.close();
  await once(server, 'close');
  const answer = pass('listener served by', [listener]);
  const client = connect(port, '127.0.0.1');
  const text = await textUntilEnd(client);
  const after = textOf(hear(socket));
  const right = answer === 'arrived' && after === 'served' && text === `served by process ${receiver}`;
  check(right, 'a listening TCP socket', [
    `a client of port ${port} was ${text}, which never opened that port`,
  ]);
}

async function passConnection(): Promise<void> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect(port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  await new Promise((resolve) => accepted.write(`begun by process ${process.pid}, `, resolve));
  const connection = Fd.duplicate(accepted);
  accepted.destroy();
  server.close();
  const answer = pass('connection ended by', [connection]);
  const text = await textUntilEnd(client);
  const after = textOf(hear(socket));
  const whole = `begun by process ${process.pid}, ended by process ${receiver}`;
  const right = answer === 'arrived' && after === 'written' && text === whole;
  check(right, 'a live TCP connection', [`the client read one response: '${text}'`]);
}

function passManyFiles(): void {
  let right = 0;
  let took = 0;
  for (let first = 0; first < FILES; first += FILES_IN_A_MESSAGE) {
    const files = Array.from({ length: FILES_IN_A_MESSAGE }, (_, index) =>
      openNew('many', `file ${first + index}`),
    );
    const start = performance.now();
    right += Number(pass(`many ${first}`, files));
    took += performance.now() - start;
  }
  const [open, closed] = pass('close', []).split(' ');
  check(right === FILES && Number(open) - Number(closed) === FILES, `${FILES.toLocaleString('en')} files`, [
    `${right} of ${FILES} had the content of their place, read by the receiver in ${took.toFixed(0)} ms`,
    `it had ${open} descriptors open at that moment, and ${closed} after closing them`,
  ]);
}

/** The last file is in flight when this process is gone; nothing of it is left here. */
function leave(): void {
  pass('farewell', []);
  const file = openNew('last', `sent by process ${process.pid}`);
  say(socket, 'last', [file], true);
  passed += 1;
  messages += 1;
  socket.close();
  console.log(
    `\n${passed} descriptors in ${messages} messages. The sender had ${before} open before and ${countOpen()} after.`,
  );
  process.exit(process.exitCode ?? 0);
}

/** Moves `fds` and waits for the answer. */
function pass(text: string, fds: Fd[]): string {
  // On macOS a socket must stay open here until it has arrived: lent, and closed after the answer.
  say(socket, text, fds);
  const answer = textOf(hear(socket));
  for (const fd of fds) fd.close();
  passed += fds.length;
  messages += 1;
  return answer;
}

function check(right: boolean, what: string, proof: string[]): void {
  console.log(`${right ? '✓' : '✗'} ${what}`);
  for (const line of proof) console.log(`    ${line}`);
  if (!right) process.exitCode = 1;
}

/** A file whose path is gone before anybody else could open it. */
function openNew(name: string, content: string): Fd {
  const file = join(folder, name);
  writeFileSync(file, content);
  const fd = Fd.adopt(openSync(file, 'r'));
  unlinkSync(file);
  return fd;
}

async function textUntilEnd(client: Socket): Promise<string> {
  let text = '';
  client.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(client, 'close');
  return text;
}
