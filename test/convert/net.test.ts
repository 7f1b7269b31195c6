import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Fd } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { atEndOfTest } from '../helpers/cleanup.js';
import { closing, codeOf, fileFd, nullFd, pair, socketTypes } from '../helpers/descriptors.js';
import { temporarySocketPath } from '../helpers/sockets.js';

async function listening(at: string | number = 0): Promise<Server> {
  const server = createServer().listen(at);
  atEndOfTest(() => void server.close());
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

/** A copy of a connected TCP socket, and the socket at its other end. */
async function connectedFd(): Promise<[Fd, Socket]> {
  const server = await listening();
  const client = connect(portOf(server), '127.0.0.1');
  atEndOfTest(() => void client.destroy());
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const copy = closing(Fd.duplicate(accepted));
  accepted.destroy();
  return [copy, client];
}

describe('toSocket', () => {
  it('makes a net.Socket of a TCP connection', async () => {
    const [fd, client] = await connectedFd();
    const socket = fd.toSocket();
    expect(fd.closed).toBe(true);
    expect(() => fd.fd).toThrow('it was moved into a Node object');
    client.write('ping');
    expect(String((await once(socket, 'data'))[0])).toBe('ping');
    socket.end('pong');
    expect(String((await once(client, 'data'))[0])).toBe('pong');
    await once(socket, 'close');
  });

  it('makes a net.Socket of a Unix stream socket', async () => {
    const [left, right] = pair();
    const socket = left.toSocket();
    right.writeSync('x');
    expect(String((await once(socket, 'data'))[0])).toBe('x');
    socket.destroy();
    await once(socket, 'close');
  });

  it('sets O_NONBLOCK, which the other holder sees', () => {
    const [left] = pair();
    const copy = closing(left.duplicate());
    expect(copy.describe().nonblocking).toBe(false);
    const socket = left.toSocket();
    expect(copy.describe().nonblocking).toBe(true);
    socket.destroy();
  });

  it('reads nothing before it is asked to, so that the connection can be passed on', async () => {
    const [fd, client] = await connectedFd();
    const socket = fd.toSocket({ pauseOnCreate: true });
    client.write('early');
    await new Promise((resolve) => client.write('', resolve));
    const copy = closing(Fd.duplicate(socket));
    const into = new Uint8Array(16);
    expect(copy.readSync(into)).toBe(5);
    socket.destroy();
    await once(socket, 'close');
  });

  it('keeps its half open when it is told to', async () => {
    const [left, right] = pair();
    const socket = left.toSocket({ allowHalfOpen: true });
    right.close();
    socket.resume();
    await once(socket, 'end');
    expect(socket.writable).toBe(true);
    socket.destroy();
    await once(socket, 'close');
  });

  it.each<[string, () => Fd | Promise<Fd>]>([
    ['a file', () => fileFd('x')],
    ['a device', nullFd],
    ['a listening socket', async () => closing(Fd.duplicate(await listening()))],
    ...socketTypes
      .filter((type) => type !== 'stream')
      .map((type): [string, () => Fd] => [`a ${type} socket`, () => pair(type)[0]]),
  ])('refuses %s, which stays with its owner', async (_name, make) => {
    const fd = await make();
    expect(codeOf(() => fd.toSocket())).toBe('ERR_FDPASS_KIND');
    expect(() => fd.toSocket()).toThrow(
      /toSocket\(\): it needs a connected .* stays with its Fd: ask describe\(\)/,
    );
    expect(fd.closed).toBe(false);
  });

  it.each([null, 5, 'x'])('refuses %s as options, and keeps the descriptor', (options) => {
    const [fd] = pair();
    expect(codeOf(() => fd.toSocket(options as never))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(fd.closed).toBe(false);
  });

  it('leaves a descriptor that Node refuses with its owner', async () => {
    const [left] = pair();
    const number = left.fd;
    const first = left.toSocket();
    // The number is watched by libuv already: Node says EEXIST.
    const second = Fd.adopt(number);
    expect(codeOf(() => second.toSocket())).toBe('EEXIST');
    expect(second.release()).toBe(number);
    first.destroy();
    await once(first, 'close');
  });
});

describe('toServer', () => {
  it('makes a net.Server of a listening TCP socket, which accepts at once', async () => {
    const original = await listening();
    const port = portOf(original);
    const fd = Fd.duplicate(original);
    original.close();
    const server = fd.toServer();
    const client = connect(port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [Socket];
    expect(fd.closed).toBe(true);
    for (const socket of [client, accepted]) socket.destroy();
    server.close();
    await once(server, 'close');
  });

  it('gives the descriptor to a server of the caller', async () => {
    const original = await listening();
    const port = portOf(original);
    const fd = Fd.duplicate(original);
    original.close();
    const server = fd.toServer({ server: createHttpServer((_, response) => response.end('served')) });
    const answer = await fetch(`http://127.0.0.1:${port}`);
    expect(await answer.text()).toBe('served');
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  it('does not remove the path when it is closed', async () => {
    const path = temporarySocketPath();
    const original = await listening(path);
    const server = Fd.duplicate(original).toServer();
    server.close();
    await once(server, 'close');
    expect(existsSync(path)).toBe(true);
    const client = connect(path);
    await once(original, 'connection').then(([accepted]) => (accepted as Socket).destroy());
    client.destroy();
  });

  it('refuses a server that listens already, and keeps the descriptor', async () => {
    const fd = closing(Fd.duplicate(await listening()));
    const server = await listening();
    expect(codeOf(() => fd.toServer({ server }))).toBe('ERR_FDPASS_BUSY');
    expect(fd.closed).toBe(false);
  });

  it.each([
    ['null', null],
    ['a number', 5],
    ['a server that is none', { server: {} }],
    ['a server that is a number', { server: 5 }],
  ])('refuses %s as options, and keeps the descriptor', async (_name, options) => {
    const fd = closing(Fd.duplicate(await listening()));
    const convert = (): unknown => fd.toServer(options as never);
    expect(codeOf(convert)).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(convert).toThrow(/toServer\(\): options.* cannot be .*Give /);
    expect(fd.closed).toBe(false);
  });

  it.each<[string, () => Fd]>([
    ['a file', () => fileFd('x')],
    ['a connected socket', () => pair()[0]],
  ])('refuses %s', (_name, make) => {
    const fd = make();
    expect(codeOf(() => fd.toServer())).toBe('ERR_FDPASS_KIND');
    expect(fd.closed).toBe(false);
  });

  it('refuses a connected TCP socket', async () => {
    const [fd] = await connectedFd();
    expect(() => fd.toServer()).toThrow(/a TCP connection/);
  });
});
