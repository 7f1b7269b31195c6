// What happens to clients before a worker has them: a listening socket fails, a client says nothing, or comes where nobody
// is to be asked. Alone in the run: each test starts processes.
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { Fd } from 'fdpass';
import type { ManagerOptions } from 'fdpass/prefork';
import { expect, it } from 'vitest';
import { fixturePath, hasPython, startProgram } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { closing } from '../helpers/descriptors.js';
import { request } from '../helpers/http-clients.js';
import { pidsOf, startManager } from '../helpers/managers.js';

const host = '127.0.0.1';

/** What the socket gets when it says `line`, to the end. */
function say(socket: Socket, line: string): Promise<string> {
  socket.write(line);
  return text(socket);
}

/** A client that is connected and says nothing. */
async function silentClient(port: number): Promise<Socket> {
  const socket = connect({ port, host });
  atEndOfTest(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** A listening socket that the test holds, too. */
async function givenListener(): Promise<{ fd: Fd; port: number }> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const fd = closing(Fd.duplicate(server));
  server.close();
  await once(server, 'close');
  return { fd, port };
}

/** `shutdown(2)` of the socket itself, and so of all its descriptors, by another process: Node has no such call. */
async function shutDown(fd: Fd): Promise<void> {
  const script = 'import socket; socket.socket(fileno=0).shutdown(socket.SHUT_RDWR)';
  await startProgram('python3', ['-c', script], { stdio: [fd.fd, 'pipe', 'pipe'] }).succeeded();
}

it.skipIf(process.platform !== 'linux' || !hasPython())(
  'says which listening socket has failed, once, and serves at the others (needs python3)',
  async () => {
    const { fd, port: givenPort } = await givenListener();
    const { manager, port } = await startManager({
      listen: [
        { port: 0, host, name: 'good' },
        { fd, name: 'given' },
      ],
    });
    const told: unknown[][] = [];
    manager.on('listenerFailed', (...event) => told.push(event));
    expect((await request(givenPort)).outcome).toBe('ok');
    const failed = once(manager, 'listenerFailed');
    await shutDown(fd);
    expect(await failed).toEqual(['given', 'EINVAL']);
    expect((await request(givenPort)).outcome).toBe('refused');
    for (let n = 0; n < 3; n++) expect((await request(port)).outcome).toBe('ok');
    await manager.stop();
    expect(told).toEqual([['given', 'EINVAL']]);
  },
);

it('gives a client that says nothing to a worker when its time is over, and keeps nobody else waiting', async () => {
  // Not the default.
  const peekTimeout = 1_500;
  const seen: string[] = [];
  let giveUp: (at: number) => void;
  const givenUp = new Promise<number>((resolve) => {
    giveUp = resolve;
  });
  const { port } = await startManager({
    worker: fixturePath('prefork-raw'),
    peekBytes: 64,
    peekTimeout,
    policy: ({ firstBytes }) => {
      seen.push(Buffer.from(firstBytes).toString());
      if (firstBytes.length === 0) giveUp(performance.now());
      return 0;
    },
  });
  const start = performance.now();
  const silent = await silentClient(port);
  expect(await say(connect({ port, host }), 'talks')).toBe('0 0 talks\n');
  expect((await givenUp) - start).toBeGreaterThanOrEqual(peekTimeout);
  expect(seen).toEqual(['talks', '']);
  // The worker gets what it says then, and nobody asks again who that is.
  expect(await say(silent, 'late')).toBe('0 0 late\n');
  expect(seen).toHaveLength(2);
});

it.skipIf(process.platform !== 'linux')(
  'leaves a client that says nothing in the kernel with deferAccept',
  async () => {
    const { manager, port } = await startManager({ listen: { port: 0, host, deferAccept: 30 } });
    const silent = await silentClient(port);
    expect((await request(port)).outcome).toBe('ok');
    // It came first, and would have been accepted first.
    expect(manager.stats()).toMatchObject({ accepted: 1 });
    expect(await say(silent, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200/,
    );
    expect(manager.stats()).toMatchObject({ accepted: 2 });
  },
);

const slowHeaders: Partial<ManagerOptions> = {
  workers: 1,
  env: { ...process.env, HEADERS_TIMEOUT: '300' },
};

it.each(['push', 'kernel'] as const)('cuts a client whose headers take too long (%s)', async (strategy) => {
  const { port } = await startManager({ ...slowHeaders, strategy });
  const slow = await silentClient(port);
  const cut = say(slow, 'GET / HTTP/1.1\r\n');
  expect((await request(port)).outcome).toBe('ok');
  expect(await cut).toMatch(/^HTTP\/1\.1 408/);
});

it.skipIf(process.platform !== 'linux')('serves nobody who comes past the manager', async () => {
  const { manager } = await startManager();
  // The kernel tells the names to everybody on the machine.
  const names = pidsOf(manager).flatMap(namesOfListeners);
  expect(names).toHaveLength(2);
  for (const name of names) {
    const intruder = connect({ path: name.replace('@', '\0') });
    intruder.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await expect(text(intruder)).rejects.toMatchObject({ code: 'ENOENT' });
    // Not even who could make the file again: the folder is gone.
    expect(existsSync(dirname(name))).toBe(false);
  }
});

/** Names of the Unix sockets that a process listens at, without the zero bytes that old versions of Node fill them with. */
function namesOfListeners(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const inodes = readdirSync(folder).map(
    (fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1],
  );
  // Number, references, protocol, flags, type, state, inode, name. Of a listening one the flag 0x10000 is set.
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n').slice(1);
  return lines.flatMap((line) => {
    const [, , , flags, , , inode, name] = line.trim().split(/\s+/);
    return flags === '00010000' && inodes.includes(inode) && name !== undefined
      ? [name.replace(/@+$/, '')]
      : [];
  });
}
