import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import {
  type Channel,
  type ChannelOptions,
  connect,
  type Fd,
  type Listener,
  type ListenOptions,
  listen,
  type PeerCredentials,
} from 'fdpass';
import { describe, expect, it } from 'vitest';
import { codeOfRejection, ending, next, text, turn } from './helpers/channels.js';
import { hasPython, isRoot, startProgram, UNPRIVILEGED_UID } from './helpers/children.js';
import { atEndOfTest } from './helpers/cleanup.js';
import { nullFds, pair, received } from './helpers/descriptors.js';
import { temporarySocketPath } from './helpers/sockets.js';

const everybody = { accept: { maxFds: 10, maxMessageBytes: 1_000, kinds: ['file'] } } as const;

async function listening(
  path: string | { abstract: string } = temporarySocketPath(),
  options: ListenOptions & ChannelOptions = {},
): Promise<Listener> {
  const listener = await listen(path, options);
  atEndOfTest(() => listener.close());
  return listener;
}

/** Accepts one. */
async function accepted(listener: Listener): Promise<Channel> {
  const { value } = await listener[Symbol.asyncIterator]().next();
  if (value === undefined) throw new Error('The listener is closed');
  return ending(value);
}

async function connected(address: string): Promise<Channel> {
  return ending(await connect(address));
}

describe('listen() and connect()', () => {
  it('meet at a path', async () => {
    const listener = await listening();
    const client = await connected(listener.address);
    client.post('hello', nullFds(2));
    const server = await accepted(listener);
    const message = await next(server);
    expect([text(message.data), message.fds.length]).toEqual(['hello', 2]);
    expect(server.peer).toMatchObject({ uid: process.geteuid?.(), source: 'connect' });
    expect(client.peer).toMatchObject({ uid: process.geteuid?.(), source: 'connect' });
  });

  it.skipIf(process.platform !== 'linux')('meet at an abstract name', async () => {
    const name = `fdpass-test-${process.pid}`;
    const listener = await listening({ abstract: name });
    expect(listener.address).toBe(`\0${name}`);
    for (const address of [listener.address, { abstract: name }]) {
      const client = ending(await connect(address));
      client.post('x');
      expect(text((await next(await accepted(listener))).data)).toBe('x');
    }
    expect(await codeOfRejection(listen({ abstract: name }))).toBe('EADDRINUSE');
  });

  it('take connections in the order in which they came, several at a time', async () => {
    const listener = await listening();
    const clients = await Promise.all(Array.from({ length: 40 }, () => connected(listener.address)));
    for (const [index, client] of clients.entries()) client.post(String(index));
    const seen: string[] = [];
    for await (const channel of listener) {
      ending(channel);
      seen.push(text((await next(channel)).data));
      if (seen.length === 40) break;
    }
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => String(index)));
    expect(listener.closed).toBe(false);
  });

  it('wait for each other', async () => {
    const listener = await listening();
    const coming = accepted(listener);
    await turn(3);
    await connected(listener.address);
    expect((await coming).closed).toBe(false);
  });

  it('refuse wrong addresses', async () => {
    for (const address of ['', '\0', 'a\0b', {}, { path: '' }, null]) {
      expect(await codeOfRejection(connect(address as never))).toBe('ERR_FDPASS_ADDRESS_INVALID');
      expect(await codeOfRejection(listen(address as never))).toBe('ERR_FDPASS_ADDRESS_INVALID');
    }
    expect(await codeOfRejection(connect('x'.repeat(200)))).toBe('ERR_FDPASS_ADDRESS_TOO_LONG');
  });
});

describe('connect()', () => {
  it('tells that nobody is there', async () => {
    const path = temporarySocketPath();
    const error = await connect(path).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'connect', path });
    await makeDead(path);
    expect(await codeOfRejection(connect(path))).toBe('ECONNREFUSED');
  });

  it('waits while the queue is full, until the time is over or the signal says so', async () => {
    const listener = await listening(undefined, { backlog: 1 });
    const waiting: Promise<Channel>[] = [];
    const codes = new Set<unknown>();
    for (let index = 0; index < 8; index += 1) {
      const connecting = connect(listener.address, { timeout: 30 });
      connecting.then(ending, (error: { code: unknown }) => codes.add(error.code));
      waiting.push(connecting);
    }
    await Promise.allSettled(waiting);
    expect([...codes]).toEqual(['ERR_FDPASS_TIMEOUT']);
    const controller = new AbortController();
    const aborted = connect(listener.address, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('reason')), 10);
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    const late = connect(listener.address).then(ending);
    for await (const channel of listener) {
      ending(channel);
      if (await Promise.race([late.then(() => true), turn(5).then(() => false)])) break;
    }
  });

  it('takes a connected socket', async () => {
    const { socketPair } = await import('fdpass');
    const [left, right] = socketPair();
    const channel = ending(await connect(left));
    const other = ending(await connect(right.release()));
    channel.post('x');
    expect(text((await next(other)).data)).toBe('x');
  });
});

describe('the path of a listener', () => {
  it('has mode 0600 from its first moment, and is removed by close()', async () => {
    const path = temporarySocketPath();
    const listener = await listening(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dirname(path))).toEqual(['socket']);
    await listener.close();
    await listener.close();
    expect(existsSync(path)).toBe(false);
  });

  it('that a live server answers on is EADDRINUSE', async () => {
    const path = temporarySocketPath();
    const first = await listening(path);
    const error = await listen(path).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'EADDRINUSE', path });
    const client = await connected(path);
    client.post('still the first');
    for await (const channel of first) {
      ending(channel);
      // The look whether it is alive was a connection, too.
      const message = await channel.receive().catch(() => undefined);
      if (message !== undefined) break;
    }
    expect(readdirSync(dirname(path))).toEqual(['socket']);
  });

  it('of a dead server is taken over', async () => {
    const path = temporarySocketPath();
    await makeDead(path);
    expect(lstatSync(path).isSocket()).toBe(true);
    const listener = await listening(path);
    await connected(path);
    await accepted(listener);
    expect(readdirSync(dirname(path))).toEqual(['socket']);
  });

  it('that is no socket is left alone', async () => {
    const path = temporarySocketPath();
    writeFileSync(path, 'precious');
    expect(await codeOfRejection(listen(path))).toBe('EADDRINUSE');
    const link = temporarySocketPath();
    symlinkSync(path, link);
    expect(await codeOfRejection(listen(link))).toBe('EADDRINUSE');
    expect(await codeOfRejection(listen(path, { replace: true }))).toBe('EADDRINUSE');
    expect([existsSync(path), lstatSync(link).isSymbolicLink()]).toEqual([true, true]);
    expect(readdirSync(dirname(path))).toEqual(['socket']);
  });

  it('that nobody could connect to is refused, though its temporary name would fit', async () => {
    const folder = dirname(temporarySocketPath());
    const path = `${folder}/${'x'.repeat(110)}`;
    expect(await codeOfRejection(listen(path))).toBe('ERR_FDPASS_ADDRESS_TOO_LONG');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is replaced at once when that is asked for, and the first leaves it alone', async () => {
    const path = temporarySocketPath();
    const first = await listening(path);
    const second = await listening(path, { replace: true });
    expect(second.address).toBe(path);
    await first.close();
    expect(existsSync(path)).toBe(true);
    await connected(path);
    await accepted(second);
    await second.close();
    expect(existsSync(path)).toBe(false);
  });

  it('that someone else took meanwhile is not removed', async () => {
    const path = temporarySocketPath();
    const listener = await listening(path);
    const { renameSync } = await import('node:fs');
    renameSync(path, `${path}.moved`);
    writeFileSync(path, 'another');
    await listener.close();
    expect(existsSync(path)).toBe(true);
    linkSync(path, `${path}.kept`);
  });

  it('in a folder that is not there is told by its errno', async () => {
    const error = await listen('/nowhere/at/all').catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'ENOENT', path: '/nowhere/at/all' });
  });
});

describe('a listener', () => {
  it('ends its loops when it is closed, and closes what nobody took', async () => {
    const listener = await listening();
    const iterator = listener[Symbol.asyncIterator]();
    const waiting = iterator.next();
    const first = await connected(listener.address);
    await waiting.then(({ value }) => value && ending(value));
    const untaken = await connected(listener.address);
    await turn(5);
    await listener.close();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(await codeOfRejection(untaken.receive())).toMatch(/^(ERR_FDPASS_PEER_GONE|ECONNRESET)$/);
    expect(first.closed).toBe(false);
  });

  it('accepts a bounded number ahead of its loop', async () => {
    const listener = await listening(undefined, { backlog: 200 });
    const iterator = listener[Symbol.asyncIterator]();
    const clients = await Promise.all(Array.from({ length: 60 }, () => connected(listener.address)));
    const { value } = await iterator.next();
    ending(value as Channel);
    await turn(5);
    const { countDescriptors } = await import('./helpers/leaks.js');
    const before = countDescriptors();
    for (let index = 0; index < 10; index += 1) await turn();
    expect(countDescriptors() - before).toBeLessThanOrEqual(1);
    await iterator.return?.();
    expect(clients.length).toBe(60);
  });

  it('keeps the process alive only while it is referenced', async () => {
    const listener = await listening();
    const iterator = listener.unref()[Symbol.asyncIterator]();
    void iterator.next();
    listener.ref().unref();
    await iterator.return?.();
  });

  it.skipIf(!hasPython())(
    'is made of a listening socket that somebody else bound (needs python3)',
    async () => {
      const path = temporarySocketPath();
      const [ours, theirs] = pair();
      const python =
        'import socket,sys; s=socket.socket(1); s.bind(sys.argv[1]); s.listen(); socket.send_fds(socket.socket(fileno=0), [b"x"], [s.fileno()])';
      expect(
        spawnSync('python3', ['-c', python, path], { stdio: [theirs.fd, 'ignore', 'inherit'] }).status,
      ).toBe(0);
      const listener = await listen(received(ours).fds.take(0));
      atEndOfTest(() => listener.close());
      expect(listener.address).toBe(path);
      await connected(path);
      await accepted(listener);
      await listener.close();
      expect(existsSync(path)).toBe(true);
      const [file] = nullFds(1);
      expect(await codeOfRejection(listen(file as Fd))).toBe('ERR_FDPASS_KIND');
      expect(file?.closed).toBe(false);
    },
  );
});

describe('trust', () => {
  it('needs limits where strangers are admitted', async () => {
    const path = temporarySocketPath();
    for (const options of [
      { authorize: 'anyone' },
      { mode: 0o666 },
      { mode: 0o660, accept: { maxFds: 1, maxMessageBytes: 1 } },
      { authorize: 'root' },
      { mode: 0o1777 },
      { authorizeTimeout: -1 },
    ])
      expect(await codeOfRejection(listen(path, options as never))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    await listening(path, { authorize: 'anyone', mode: 0o666, ...everybody });
    expect(statSync(path).mode & 0o777).toBe(0o666);
  });

  it('is decided by a function, with time to think', async () => {
    const asked: PeerCredentials[] = [];
    const listener = await listening(undefined, {
      authorize: async (peer) => {
        const number = asked.push(peer);
        await turn(3);
        return number !== 2;
      },
    });
    const refused: unknown[] = [];
    listener.on('refused', (error) => refused.push(error.code));
    const iterator = listener[Symbol.asyncIterator]();
    for (const name of ['first', 'second', 'third']) (await connected(listener.address)).post(name);
    const seen: string[] = [];
    for (let count = 0; count < 2; count += 1) {
      const { value } = await iterator.next();
      seen.push(text((await next(ending(value as Channel))).data));
    }
    expect(seen).toEqual(['first', 'third']);
    expect(refused).toEqual(['ERR_FDPASS_UNAUTHORIZED']);
    expect(asked[0]).toMatchObject({ uid: process.geteuid?.() });
  });

  it('is refused when the function throws or takes too long', async () => {
    let calls = 0;
    const listener = await listening(undefined, {
      authorizeTimeout: 20,
      authorize: (_, signal) => {
        calls += 1;
        if (calls === 1) throw new Error('no idea');
        return new Promise<boolean>((resolve) => {
          signal.addEventListener('abort', () => resolve(true));
        });
      },
    });
    const refused: string[] = [];
    listener.on('refused', (error) => refused.push(error.message));
    const iterator = listener[Symbol.asyncIterator]();
    void iterator.next();
    for (let count = 0; count < 2; count += 1) {
      const client = await connected(listener.address);
      expect(await codeOfRejection(client.receive())).toMatch(/^(ERR_FDPASS_PEER_GONE|ECONNRESET)$/);
    }
    expect(refused).toEqual([expect.stringContaining('failed'), expect.stringContaining('took too long')]);
  });

  // Only root may become another user.
  it.skipIf(!isRoot() || !hasPython())(
    'does not admit another user, who can reach the path (needs python3)',
    async () => {
      const path = temporarySocketPath();
      const listener = await listening(path);
      const refused: unknown[] = [];
      listener.on('refused', (error, peer) => refused.push([error.code, peer?.uid]));
      void listener[Symbol.asyncIterator]().next();
      chmodSync(path, 0o666);
      chmodSync(dirname(path), 0o755);
      const python = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    print(len(s.recv(100)))
except ConnectionResetError:
    print(0)
`;
      const child = startProgram('python3', ['-c', python, path], { unprivileged: true });
      expect(await child.succeeded()).toBe('0\n');
      expect(refused).toEqual([['ERR_FDPASS_UNAUTHORIZED', UNPRIVILEGED_UID]]);
    },
  );

  it('to no descriptors at all is kept', async () => {
    const listener = await listening(undefined, { accept: { maxFds: 0 } });
    const client = await connected(listener.address);
    const server = await accepted(listener);
    const coming = next(server);
    client.on('error', () => undefined);
    await client.send('none').catch(() => undefined);
    expect(text((await coming).data)).toBe('none');
    const outcome = await client.send('one', nullFds(1), { ack: true }).then(
      () => 'sent',
      (error: { code: string }) => error.code,
    );
    // Where the kernel knows SO_PASSRIGHTS, it refuses them to the sender; else the receiver does.
    expect(['EPERM', 'ERR_FDPASS_TOO_MANY_FDS', 'ERR_FDPASS_PEER_TOO_MANY_FDS']).toContain(outcome);
  });
});

/** A socket file that nobody listens on. */
async function makeDead(path: string): Promise<void> {
  const server = createServer().listen(`${path}.alive`);
  await once(server, 'listening');
  linkSync(`${path}.alive`, path); // Node removes the other name only
  server.close();
  await once(server, 'close');
}
