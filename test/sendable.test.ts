import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createReadStream, fstatSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, createServer, type Server, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Fd, type FdKind, receiveMessage, type Sendable, sendMessage } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { atEndOfTest } from './helpers/cleanup.js';
import {
  closing,
  codeOf,
  fileFd,
  nullFd,
  nullFds,
  pair,
  portable,
  readAll,
  received,
} from './helpers/descriptors.js';
import { temporarySocketPath } from './helpers/sockets.js';

/** Sends one thing and tells what arrived. */
function kindAfterSending(thing: Sendable, options = {}): FdKind {
  const [left, right] = pair();
  sendMessage(left, 'x', [thing], options);
  return received(right).fds.at(0).describe().kind;
}

async function listening(at: string | number = 0): Promise<Server> {
  const server = createServer().listen(at);
  atEndOfTest(() => void server.close());
  await once(server, 'listening');
  return server;
}

/** Both ends of a TCP connection on this machine. */
async function connection(): Promise<[Socket, Socket]> {
  const server = await listening();
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  atEndOfTest(() => void client.destroy());
  const [accepted] = (await once(server, 'connection')) as [Socket];
  atEndOfTest(() => void accepted.destroy());
  if (client.connecting) await once(client, 'connect');
  return [client, accepted];
}

describe('what can be lent', () => {
  it('an Fd, a number, a FileHandle', async () => {
    const handle = await open(import.meta.filename);
    expect(kindAfterSending(nullFd())).toBe('device');
    expect(kindAfterSending(nullFd().fd)).toBe('device');
    expect(kindAfterSending(handle)).toBe('file');
    await handle.close();
  });

  it('a file stream, once it is open', async () => {
    const stream = createReadStream(import.meta.filename);
    expect(() => kindAfterSending(stream as never)).toThrow(/wait for its 'open' event/);
    await once(stream, 'open');
    expect(kindAfterSending(stream as never)).toBe('file');
    stream.destroy();
    await once(stream, 'close');
  });

  it('a TCP connection and the server that accepted it', async () => {
    const [client, accepted] = await connection();
    expect([client, accepted].map((socket) => kindAfterSending(socket))).toEqual(['tcp', 'tcp']);
    expect(client.destroyed).toBe(false);
    expect(kindAfterSending(await listening())).toBe('tcp');
  });

  it('a server at a path, which keeps its path', async () => {
    const server = await listening(temporarySocketPath());
    expect(kindAfterSending(server)).toBe('unix');
    expect(server.listening).toBe(true);
  });

  it('a UDP socket, without a deprecation', async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', listen);
    const socket = createSocket('udp4').bind(0);
    await once(socket, 'listening');
    expect(kindAfterSending(socket)).toBe('udp');
    socket.close();
    await once(socket, 'close');
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listen);
    expect(warnings).toEqual([]);
  });
});

describe('what is refused with its reason', () => {
  it('a TLS socket', async () => {
    const [client] = await connection();
    const tls = new TLSSocket(client);
    expect(() => kindAfterSending(tls)).toThrow(/TLS socket: its keys stay/);
    expect(codeOf(() => kindAfterSending(tls))).toBe('ERR_FDPASS_NOT_SENDABLE');
    tls.destroy();
    await once(tls, 'close');
  });

  it('a socket with unread bytes, unless it is said', async () => {
    const [client, accepted] = await connection();
    accepted.write('hello');
    await once(client, 'readable');
    expect(() => kindAfterSending(client)).toThrow(/5 bytes that Node has read/);
    expect(kindAfterSending(client, { readAhead: 'send' })).toBe('tcp');
    expect(String(client.read())).toBe('hello');
    expect(kindAfterSending(client)).toBe('tcp');
  });

  it('a socket with unwritten bytes, to be moved', async () => {
    const [client] = await connection();
    const block = Buffer.alloc(1 << 20);
    while (client.write(block)) await new Promise((resolve) => setImmediate(resolve));
    const [left] = pair();
    expect(() => sendMessage(left, 'x', [client], { transfer: true })).toThrow(/unwritten bytes/);
    expect(client.destroyed).toBe(false);
  });

  it('a server at a path, to be moved: Node would remove the path', async () => {
    const server = await listening(temporarySocketPath());
    const [left] = pair();
    expect(() => sendMessage(left, 'x', [server], { transfer: true })).toThrow(/removes the path/);
    expect(server.listening).toBe(true);
  });

  it('what is not open yet, or not any more', async () => {
    const connecting = connect(temporarySocketPath());
    connecting.on('error', () => undefined);
    expect(() => kindAfterSending(connecting)).toThrow(/connect/);
    // Not `once()`: it rejects with the error that comes first.
    await new Promise((resolve) => connecting.once('close', resolve));
    expect(codeOf(() => kindAfterSending(connecting))).toBe('ERR_FDPASS_FD_CLOSED');
    expect(codeOf(() => kindAfterSending(new Socket()))).toBe('ERR_FDPASS_NOT_SENDABLE');
    expect(codeOf(() => kindAfterSending(createServer()))).toBe('ERR_FDPASS_NOT_SENDABLE');
    const handle = await open(import.meta.filename);
    await handle.close();
    expect(codeOf(() => kindAfterSending(handle))).toBe('ERR_FDPASS_FD_CLOSED');
  });
});

describe('transfer', () => {
  it('moves all: the Fds are closed here', () => {
    const [left, right] = pair();
    const files = [fileFd('a'), fileFd('b')];
    sendMessage(left, 'x', files, { transfer: true });
    expect(files.map(({ closed }) => closed)).toEqual([true, true]);
    expect(() => files[0]?.fd).toThrow('it was moved by a send');
    expect(received(right).fds.takeAll().map(closing).map(readAll)).toEqual(['a', 'b']);
  });

  it('moves those that are listed', () => {
    const [left, right] = pair();
    const [kept, moved] = [nullFd(), nullFd()];
    sendMessage(left, 'x', [kept, moved], { transfer: [moved, moved] });
    expect([kept.closed, moved.closed]).toEqual([false, true]);
    expect(received(right).fds.length).toBe(2);
  });

  it('moves nothing with an empty list or false', () => {
    const [left] = pair();
    const fd = nullFd();
    sendMessage(left, 'x', [fd], { transfer: [] });
    sendMessage(left, 'x', [fd], { transfer: false });
    sendMessage(left, 'x', undefined, { transfer: true });
    expect(fd.closed).toBe(false);
  });

  it.each<[string, (fds: Fd[]) => [Sendable[], true | Sendable[]]]>([
    ['a number', (fds) => [[...fds, 0], true]],
    ['a listed number', (fds) => [[...fds, 0], [0]]],
    [
      'a number twice',
      (fds) => [
        [...fds, 0, 0],
        [0, 0],
      ],
    ],
    ['an object with a number', (fds) => [[...fds, { fd: 0 }], true]],
    ['an Fd that is not sent', (fds) => [fds, [nullFd()]]],
    ['an Fd that is sent twice', (fds) => [[...fds, fds[0] as Fd], true]],
    ['the same Fd, listed', (fds) => [[...fds, fds[0] as Fd], [fds[0] as Fd]]],
  ])('of %s moves nothing', (_name, make) => {
    const [left, right] = pair();
    const own = nullFds(2);
    const [fds, transfer] = make(own);
    expect(codeOf(() => sendMessage(left, 'x', fds, { transfer }))).toBe('ERR_FDPASS_INVALID_TRANSFER');
    expect(own.map(({ closed }) => closed)).toEqual([false, false]);
    expect(codeOf(() => receiveMessage(right, { timeout: 0 }))).toBe('EAGAIN');
  });

  it('of a closed Fd moves nothing', () => {
    const [left] = pair();
    const [open, closed] = nullFds(2) as [Fd, Fd];
    closed.close();
    expect(codeOf(() => sendMessage(left, 'x', [open, closed], { transfer: true }))).toBe(
      'ERR_FDPASS_FD_CLOSED',
    );
    expect(open.closed).toBe(false);
  });

  it('refuses what is no list', () => {
    const [left] = pair();
    expect(codeOf(() => sendMessage(left, 'x', [nullFd()], { transfer: 1 as never }))).toBe(
      'ERR_FDPASS_INVALID_ARGUMENT',
    );
  });

  // A raw move of a socket is refused where the kernel needs the sender's copy until it has arrived.
  it.skipIf(portable)('moves a live connection, and this end of it is gone', async () => {
    const [client, accepted] = await connection();
    const [left, right] = pair();
    sendMessage(left, 'x', [accepted], { transfer: true });
    expect(accepted.destroyed).toBe(true);
    await once(accepted, 'close');
    const moved = closing(received(right).fds.take(0));
    moved.writeSync('still here');
    const [data] = await once(client, 'data');
    expect(String(data)).toBe('still here');
  });

  it.skipIf(portable)('moves a server: its clients are accepted by the receiver', async () => {
    const server = await listening();
    const { port } = server.address() as { port: number };
    const [left, right] = pair();
    sendMessage(left, 'x', [server], { transfer: true });
    await once(server, 'close');
    const moved = received(right).fds.take(0).toServer();
    const client = connect(port, '127.0.0.1');
    const [accepted] = (await once(moved, 'connection')) as [Socket];
    for (const socket of [client, accepted]) socket.destroy();
    moved.close();
  });

  it.skipIf(portable)('moves a UDP socket', async () => {
    const socket = createSocket('udp4').bind(0);
    await once(socket, 'listening');
    const [left, right] = pair();
    sendMessage(left, 'x', [socket], { transfer: true });
    await once(socket, 'close');
    expect(received(right).fds.at(0).describe().kind).toBe('udp');
  });

  // There, and on its code path, only: elsewhere it is allowed.
  it.runIf(portable)('of a socket is refused on macOS', () => {
    const [left] = pair();
    const [other] = pair();
    expect(codeOf(() => sendMessage(left, 'x', [other], { transfer: true }))).toBe('ERR_FDPASS_NEEDS_ACK');
    expect(other.closed).toBe(false);
  });

  it('never closes a number that somebody else has by now', () => {
    const [left] = pair();
    const fd = nullFd();
    const number = fd.fd;
    sendMessage(left, 'x', [fd], { transfer: true });
    const other = openSync('/dev/null', 'r');
    expect(other).toBe(number);
    fd.close();
    expect(fstatSync(other).isCharacterDevice()).toBe(true);
    Fd.adopt(other).close();
  });
});
