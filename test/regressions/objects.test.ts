// Descriptors and the objects that have them: conversions, listeners, and code of the user that runs meanwhile.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import {
  Channel,
  channelPair,
  connect,
  detachForThread,
  Fd,
  type FdKind,
  type Listener,
  listen,
  spawnWithChannel,
} from 'fdpass';
import { describe, expect, it } from 'vitest';
import { fixturePath, startProgram } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { closing, codeOf, nullFd, pair } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';
import { temporaryFolder, temporarySocketPath } from '../helpers/sockets.js';

async function listeningServer(): Promise<Server> {
  const server = closing(createServer().listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return server;
}

/** Two ends of a connection, the accepted one as the listener makes it. */
async function firstOf(listener: Listener): Promise<Awaited<ReturnType<typeof connect>>> {
  for await (const channel of listener) {
    atEndOfTest(() => void channel.destroy());
    return channel;
  }
  throw new Error('The listener was closed');
}

describe('a conversion', () => {
  it('refuses an Fd that an option closes meanwhile: its number is another one', () => {
    const [left, right] = pair();
    const fd = closing(left.duplicate());
    const options = {
      get pauseOnCreate(): boolean {
        const number = fd.fd;
        fd.close();
        expect(closing(right.duplicate()).fd).toBe(number);
        return false;
      },
    };
    expect(codeOf(() => fd.toSocket(options))).toBe('ERR_FDPASS_FD_CLOSED');
  });

  it('refuses an Fd that the server closes when it is listened to', async () => {
    const listening = await listeningServer();
    const fd = closing(Fd.duplicate(listening));
    const server = createServer();
    server.once('newListener', () => {
      fd.close();
      closing(Fd.duplicate(listening));
    });
    expect(codeOf(() => fd.toServer({ server }))).toBe('ERR_FDPASS_FD_CLOSED');
    expect([server.listening, server.listenerCount('error')]).toEqual([false, 0]);
  });

  it('refuses a backlog that is no integer', async () => {
    const fd = closing(Fd.duplicate(await listeningServer()));
    for (const backlog of [5n, 1.5, -1, '5'])
      expect(codeOf(() => fd.toServer({ backlog: backlog as number }))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(fd.closed).toBe(false);
  });

  // `script` of util-linux makes the terminal; macOS has one with other options.
  it.runIf(process.platform === 'linux')('leaves nothing of a terminal, which is opened anew', async () => {
    const command = `${process.execPath} ${fixturePath('convert-terminal')}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] });
    expect(await text(child.stdout)).toContain('left 0');
  });

  it('to a file stream is closed with its worker thread', async () => {
    const before = countDescriptors();
    const worker = new Worker(fixturePath('stream-in-worker'));
    await once(worker, 'message');
    await worker.terminate();
    expect(countDescriptors()).toBe(before);
  });

  it('to a file stream ends in a worker thread without a warning of Node', async () => {
    const worker = new Worker(fixturePath('stream-in-worker'));
    atEndOfTest(() => worker.terminate().then(() => undefined));
    await once(worker, 'message');
    worker.postMessage('end');
    expect(await once(worker, 'message')).toEqual([[]]);
  });

  it('says what was tried', () => {
    const fd = nullFd();
    fd.close();
    expect(() => fd.toSocket()).toThrow('Cannot convert with toSocket(): the Fd has no descriptor any more');
  });

  it('and a look name the number that something else has closed', () => {
    const fd = nullFd();
    const number = fd.release();
    const other = Fd.adopt(number);
    closeSync(number);
    expect(() => other.statSync()).toThrow(`Cannot stat ${number}: it is not open`);
    expect(() => other.describe()).toThrow(`Cannot describe ${number}: it is not open`);
    expect(() => other.toSocket()).toThrow(`Cannot convert ${number} with toSocket(): it is not open`);
    other.release();
  });
});

describe('a token', () => {
  it('is not cut to the integer of another', () => {
    const ofFd = detachForThread(nullFd());
    expect(codeOf(() => Fd.fromThread({ ...ofFd, token: ofFd.token + 0.5 }))).toBe('ERR_FDPASS_TOKEN');
    closing(Fd.fromThread(ofFd));
    const [left, right] = channelPair();
    atEndOfTest(() => void left.destroy());
    const ofChannel = detachForThread(right);
    const wrong = { ...ofChannel, token: ofChannel.token + 0.5 };
    expect(codeOf(() => Channel.fromThread(wrong))).toBe('ERR_FDPASS_TOKEN');
    Channel.fromThread(ofChannel).destroy();
  });
});

describe('a channel to the parent', () => {
  it('is not taken from a descriptor that has its number by chance', async () => {
    const program = [fixturePath('fork-without-channel')];
    const { child, channel } = spawnWithChannel(process.execPath, program, {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    atEndOfTest(() => void channel.destroy());
    const exited = once(child, 'exit');
    if (child.stdout === null) throw new Error('stdout is a pipe');
    // Node's own channel is 3 in the forked process, as the channel was in the one between.
    expect(await text(child.stdout)).toBe('ERR_FDPASS_NO_PARENT answered\n');
    await exited;
  });

  it('is there for a second call after one at the descriptor limit', async () => {
    const command = `ulimit -n 100; exec "${process.execPath}" "${fixturePath('open-parent-at-limit')}"`;
    const { channel } = spawnWithChannel('sh', ['-c', command], { stdio: 'inherit' });
    atEndOfTest(() => void channel.destroy());
    const message = await channel.receive();
    expect(String(message && Buffer.from(message.data))).toBe('EMFILE, then open');
  });
});

describe('a listener', () => {
  it('that an option closes while it takes a connection keeps nothing of it', async () => {
    const before = countDescriptors();
    let listener: Listener | undefined;
    const options = {
      get stallTimeout(): number {
        void listener?.close();
        return 1_000;
      },
    };
    const listening = await listen(temporarySocketPath(), options);
    const connecting = firstOf(listening).catch((error: Error) => error.message);
    listener = listening;
    const client = await connect(listening.address);
    expect(await connecting).toBe('The listener was closed');
    client.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    expect(countDescriptors()).toBe(before);
  });

  it('closes its descriptor when its path leads nowhere any more', async () => {
    const folder = join(temporaryFolder(), 'folder');
    mkdirSync(folder);
    const before = countDescriptors();
    const listener = await listen(join(folder, 'socket'));
    renameSync(folder, `${folder}-moved`);
    symlinkSync(folder, folder);
    await listener.close();
    expect(countDescriptors()).toBe(before);
  });

  it('removes a relative path when the working directory is another one', async () => {
    const folder = temporaryFolder();
    const program = `
      import { listen } from 'fdpass';
      const listener = await listen('socket');
      process.chdir('/');
      await listener.close();`;
    const command = `cd "${folder}" && exec "$0" --input-type=module --eval "$1"`;
    const withPackage = program.replace("'fdpass'", JSON.stringify(import.meta.resolve('fdpass')));
    await startProgram('sh', ['-c', command, process.execPath, withPackage]).succeeded();
    expect(existsSync(join(folder, 'socket'))).toBe(false);
  });

  it.each([1, 3, 10])('has a path that fits whole, its last part %i long', async (length) => {
    const folder = temporaryFolder();
    const most = process.platform === 'linux' ? 107 : 103;
    const long = join(folder, 'f'.repeat(most - folder.length - length - 2));
    mkdirSync(long);
    const path = join(long, 's'.repeat(length));
    expect(path.length).toBe(most);
    const listener = await listen(path);
    const client = await connect(path);
    client.destroy();
    await listener.close();
    expect(readdirSync(long)).toEqual([]);
  });

  it('does not take a dead server for a live one at the descriptor limit', async () => {
    const path = temporarySocketPath();
    const program = `import socket; s = socket.socket(socket.AF_UNIX); s.bind(${JSON.stringify(path)}); s.listen()`;
    expect(spawnSync('python3', ['-c', program]).status).toBe(0);
    const command = `ulimit -n 100; exec "${process.execPath}" "${fixturePath('listen-at-limit')}" "${path}" "${path}-other"`;
    expect(await startProgram('sh', ['-c', command]).succeeded()).toBe('EMFILE\n');
  });

  it('has time without end to decide when it says so', async () => {
    const authorize = (): Promise<boolean> => new Promise((resolve) => setTimeout(() => resolve(true), 20));
    const options = { authorize, authorizeTimeout: Number.POSITIVE_INFINITY };
    const listener = await listen(temporarySocketPath(), options);
    atEndOfTest(() => listener.close());
    const client = await connect(listener.address);
    atEndOfTest(() => void client.destroy());
    await expect(firstOf(listener)).resolves.toBeDefined();
  });

  it('and a client accept kinds that an iterator names for every connection', async () => {
    const kinds = (): Iterable<FdKind> => new Set<FdKind>(['device']).values();
    const listener = await listen(temporarySocketPath(), { accept: { kinds: kinds() } });
    atEndOfTest(() => listener.close());
    for (let round = 0; round < 2; round += 1) {
      const client = await connect(listener.address, { accept: { kinds: kinds() } });
      atEndOfTest(() => void client.destroy());
      const server = await firstOf(listener);
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        from.post('x', [nullFd()]);
        const message = await to.receive();
        expect(message?.fds.length).toBe(1);
        message?.fds.close();
      }
    }
  });
});
