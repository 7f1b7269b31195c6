// Who sent each message, as the kernel says it.
import { spawnSync } from 'node:child_process';
import { Channel, channelPair, detachForThread, type Fd, type Message, socketPair } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { channels, ending, next, text, turn } from '../helpers/channels.js';
import { closing, codeOf, nullFds } from '../helpers/descriptors.js';
import { dataFrame, preamble } from '../helpers/wire.js';

const here = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
const linux = process.platform === 'linux';

function asking(): [Channel, Channel] {
  const [left, right] = channelPair({ credentials: true });
  return [ending(left), ending(right)];
}

describe.runIf(linux)('a channel that asks', () => {
  it('is told who sent each message, in every style', async () => {
    const [left, right] = asking();
    const sizes = [0, 1, 40_000, 300_000, 3];
    const sendAll = (): Promise<unknown> =>
      Promise.all(sizes.map((size) => left.send(new Uint8Array(size), nullFds(2))));

    void sendAll();
    for (const size of sizes)
      expect(await next(right)).toMatchObject({ data: { length: size }, credentials: here });
    void sendAll();
    let seen = 0;
    for await (const { credentials } of right) {
      expect(credentials).toEqual(here);
      seen += 1;
      if (seen === sizes.length) break;
    }
    const listened: Message<Uint8Array>[] = [];
    right.on('message', (message) => listened.push(message));
    await sendAll();
    while (listened.length < sizes.length) await turn();
    expect(listened.map(({ credentials }) => credentials)).toEqual(sizes.map(() => here));
  });

  it('is told of a damaged message, too', async () => {
    const [left, right] = channelPair({ credentials: true, accept: { maxFds: 1 } }).map(ending) as [
      Channel,
      Channel,
    ];
    await left.send('x', nullFds(2)).catch(() => undefined);
    left.post('y');
    const [message] = [await next(right)];
    expect(message.credentials).toEqual(here);
  });

  it('tells processes apart that share a socket', async () => {
    const [ours, theirs] = socketPair();
    const channel = ending(Channel.from(ours, { credentials: true }));
    closing(theirs).writeSync(preamble());
    const pids = ['first', 'second', 'third'].map((word, index) =>
      writeAsChild(theirs, dataFrame(index + 1, word)),
    );
    for (const pid of pids) expect((await next(channel)).credentials).toEqual({ ...here, pid });
    expect(new Set(pids).size).toBe(3);
    expect(channel.peer.pid).toBe(process.pid);
  });

  it('keeps what it was told when it moves to another thread', async () => {
    const [left, right] = asking();
    left.post('one');
    left.post('two');
    await next(right);
    await turn(2);
    const moved = ending(Channel.fromThread(structuredClone(detachForThread(right))));
    left.post('three');
    const messages = [await next(moved), await next(moved)];
    expect(messages.map(({ data, credentials }) => [text(data), credentials])).toEqual([
      ['two', here],
      ['three', here],
    ]);
  });
});

describe('a channel that does not ask', () => {
  it('has nothing of it in its messages', async () => {
    const [left, right] = channels();
    left.post('x');
    expect('credentials' in (await next(right))).toBe(false);
  });

  it('takes true and false for an answer', () => {
    const options = { credentials: 'yes' as never };
    expect(codeOf(() => channelPair(options))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
  });
});

describe.runIf(process.platform === 'darwin')('on macOS', () => {
  it('asking is not possible, and the socket stays with its owner', () => {
    const [left, right] = socketPair().map(closing) as [Fd, Fd];
    expect(codeOf(() => Channel.from(left, { credentials: true }))).toBe('ERR_FDPASS_UNSUPPORTED');
    expect([left.closed, right.closed]).toEqual([false, false]);
  });
});

/** Another process writes `bytes` to our socket. @returns its pid */
function writeAsChild(socket: Fd, bytes: Uint8Array): number {
  const program = "require('fs').writeSync(0, Buffer.from(process.argv[1], 'hex'))";
  const { pid, status } = spawnSync(process.execPath, ['-e', program, Buffer.from(bytes).toString('hex')], {
    stdio: [socket.fd, 'inherit', 'inherit'],
  });
  expect(status).toBe(0);
  return pid;
}
