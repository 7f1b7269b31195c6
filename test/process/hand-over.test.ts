import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Fd, receiveMessage, sendMessage } from 'fdpass';
import { expect, it } from 'vitest';
import { type Child, startFixture } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { closing, fileFd, pair, readAll, received } from '../helpers/descriptors.js';
import { temporaryFolder } from '../helpers/sockets.js';

/** Starts a fixture with one end of a socket pair as its descriptor 3; the other end is ours. */
function withSocket(name: string, args: string[] = []): [Child, Fd] {
  const [ours, theirs] = pair();
  const child = startFixture(name, args, { stdio: ['pipe', 'pipe', 'pipe', theirs.fd] });
  theirs.close();
  return [child, ours];
}

async function connected(port: number): Promise<Socket> {
  const client = connect(port, '127.0.0.1');
  atEndOfTest(() => void client.destroy());
  await once(client, 'connect');
  return client;
}

it('receives a file whose sender is dead', async () => {
  const path = join(temporaryFolder(), 'file');
  writeFileSync(path, 'from a process that is no more');
  const [child, socket] = withSocket('send-file-and-exit', [path]);
  await child.succeeded();
  const message = received(socket);
  expect(new TextDecoder().decode(message.data)).toBe(path);
  expect(readAll(closing(message.fds.take(0)))).toBe('from a process that is no more');
  expect(receiveMessage(socket)).toBeUndefined();
});

it('shares offset and flags with the receiver', async () => {
  const [child, socket] = withSocket('read-three-bytes');
  const file = fileFd('abcdef');
  const [left] = pair();
  sendMessage(socket, 'x', [file, left]);
  expect(new TextDecoder().decode(received(socket).data)).toBe('abc');
  expect(readAll(file)).toBe('def');
  expect(left.describe().nonblocking).toBe(true);
  await child.succeeded();
});

it('hands a listening socket over with three connections pending, and all three are served', async () => {
  const [child, socket] = withSocket('hand-over-listener');
  const port = Number(await child.firstLine());
  const clients = await Promise.all([connected(port), connected(port), connected(port)]);
  child.write('go\n');
  const listener = received(socket).fds.take(0);
  await child.succeeded();

  const server = listener.toServer().on('connection', (accepted: Socket) => accepted.end('served'));
  const answers = await Promise.all(clients.map(async (client) => String((await once(client, 'data'))[0])));
  expect(answers).toEqual(['served', 'served', 'served']);
  server.close();
  await once(server, 'close');
});

it('moves a live TCP connection in the middle of a response', async () => {
  const [child, socket] = withSocket('hand-over-mid-response');
  const url = `http://127.0.0.1:${await child.firstLine()}`;
  const response = fetch(url).then((answer) => answer.text());
  const [head, tail] = await halfOf(socket);
  await child.succeeded();
  const connection = head.toSocket();
  connection.end(tail);
  expect(await response).toBe('x'.repeat(100_000));
  connection.destroy();
});

/** The connection, and the bytes that are still to be written: they may come in several reads. */
async function halfOf(socket: Fd): Promise<[Fd, Buffer]> {
  // Waits as the rest of the program goes on: a blocking receive would stop the client in this process.
  const stream = closing(socket.duplicate());
  let connection: Fd | undefined;
  const parts: Uint8Array[] = [];
  for (let length = 0; length < 50_000; ) {
    const message = await polled(stream);
    connection ??= message.fds.length > 0 ? message.fds.take(0) : undefined;
    parts.push(message.data);
    length += message.data.length;
  }
  if (connection === undefined) throw new Error('No connection came');
  return [connection, Buffer.concat(parts)];
}

async function polled(socket: Fd): Promise<NonNullable<ReturnType<typeof receiveMessage>>> {
  for (;;) {
    try {
      const message = receiveMessage(socket, { timeout: 0 });
      if (message === undefined) throw new Error('The peer has closed');
      return message;
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}
