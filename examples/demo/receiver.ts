// The receiver: knows a path, and what arrives there. It answers with what it can only know through a descriptor.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Fd, FdList, ReceivedMessage } from 'fdpass';
import { accept, countOpen, hear, say, settle, textOf } from './meeting.js';

const [path = ''] = process.argv.slice(2);
await settle();
const before = countOpen();
const kept: Fd[] = [];

/** What is done with each thing, by the first word of the message it comes with; returns the answer. */
const uses: Record<string, (fds: FdList, rest: string) => string | Promise<string>> = {
  file: (fds) => {
    const { device, inode } = fds.at(0).describe();
    return `${device}:${inode} ${readSome(fds.at(0))}`;
  },
  pipe: (fds) => readSome(fds.at(0)),
  terminal: (fds, text) => {
    fds.at(0).writeSync(`${text} process ${process.pid}\n`);
    return fds.at(0).describe().kind;
  },
  listener: async (fds, answer) => {
    const server = fds.take(0).toServer();
    const [client] = (await once(server, 'connection')) as [Socket];
    client.end(`${answer} process ${process.pid}`);
    server.close();
    await once(server, 'close');
    return 'served';
  },
  connection: async (fds, rest) => {
    const socket = fds.take(0).toSocket();
    socket.end(`${rest} process ${process.pid}`);
    socket.resume();
    await once(socket, 'close');
    return 'written';
  },
  many: (fds, first) => {
    const all = fds.takeAll();
    kept.push(...all);
    const right = all.filter((file, index) => readSome(file) === `file ${Number(first) + index}`);
    return String(right.length);
  },
  close: () => {
    const open = countOpen();
    for (const file of kept.splice(0)) file.close();
    return `${open} ${countOpen()}`;
  },
  farewell: () => 'farewell',
};

const socket = await accept(path);
for (let text = ''; text !== 'farewell'; ) {
  const message = hear(socket);
  text = textOf(message);
  // A listener is used while the sender connects to it: it is told that the descriptor has arrived.
  if (/^(listener|connection) /.test(text)) say(socket, 'arrived');
  say(socket, await use(message, text));
}

// The sender ends at once after its last message; our standard input ends when it is gone.
process.stdin.resume();
await once(process.stdin, 'end');
const last = hear(socket);
console.log(readSome(last.fds.at(0)));
last.fds.close();
socket.close();
console.log(`${before} ${countOpen()}`);
process.exit(0);

async function use(message: ReceivedMessage, text: string): Promise<string> {
  const [word = '', ...rest] = text.split(' ');
  const answer = await uses[word]?.(message.fds, rest.join(' '));
  message.fds.close();
  return answer ?? `unknown: ${word}`;
}

function readSome(fd: Fd): string {
  const into = new Uint8Array(256);
  return new TextDecoder().decode(into.subarray(0, fd.readSync(into)));
}
