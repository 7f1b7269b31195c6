/** Descriptors that become objects of the `node:` modules. What a runtime cannot do is skipped by name. */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fd, receiveMessage, sendMessage, socketPair } from 'fdpass';
import { check, same, skip } from './check.js';

/** Sends something and takes what arrives, as a peer process would have it. */
function passed(what: Server | DatagramSocket): Fd {
  if ('Deno' in globalThis) skip('Deno’s own sockets have no descriptor to begin with');
  const [left, right] = socketPair();
  sendMessage(left, 'x', [what]);
  const [fd] = receiveMessage(right)?.fds ?? [];
  left.close();
  right.close();
  if (fd === undefined) throw new Error('it did not arrive');
  return fd;
}

export async function checkConversions(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fdpass-smoke-'));
  const file = join(folder, 'file');

  await check('toSocket: a stream socket', async () => {
    const [left, right] = socketPair();
    const socket = left.toSocket();
    sendMessage(right, 'to the socket');
    const [data] = await once(socket, 'data');
    same(String(data), 'to the socket');
    right.close();
    await once(socket, 'close');
  });

  await check('toServer: a listening socket, and a connection to it', async () => {
    const first = createServer();
    first.listen(0, '127.0.0.1');
    await once(first, 'listening');
    const { port } = first.address() as { port: number };
    let fd: Fd;
    try {
      fd = passed(first);
    } finally {
      first.close();
    }
    const server = fd.toServer();
    const client = new Socket().connect(port, '127.0.0.1');
    const [connection] = (await once(server, 'connection')) as [Socket];
    connection.end('served');
    const [data] = await once(client, 'data');
    same(String(data), 'served');
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  await check('toDatagram: a UDP socket', async () => {
    const first = createSocket('udp4');
    first.bind(0, '127.0.0.1');
    await once(first, 'listening');
    const { port } = first.address();
    let fd: Fd;
    try {
      fd = passed(first);
    } finally {
      first.close();
    }
    const socket = fd.toDatagram();
    const sender = createSocket('udp4');
    sender.send('datagram', port, '127.0.0.1');
    const [data] = await once(socket, 'message');
    same(String(data), 'datagram');
    socket.close();
    sender.close();
  });

  await check('toReadStream: a file', async () => {
    writeFileSync(file, 'content');
    const stream = Fd.adopt(openSync(file, 'r')).toReadStream();
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    same(text, 'content');
  });

  await check('toWriteStream: a file', async () => {
    const stream = Fd.adopt(openSync(file, 'w')).toWriteStream();
    stream.end('written');
    await once(stream, 'close');
    same(readFileSync(file, 'utf8'), 'written');
  });

  rmSync(folder, { recursive: true });
}
