import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Channel, type ChildWithChannel, Fd, spawnWithChannel } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { codeOfRejection, ending, event, next, text, until } from './helpers/channels.js';
import { fixturePath, hasPython } from './helpers/children.js';
import { atEndOfTest } from './helpers/cleanup.js';
import { closing, codeOf, fileFd, nullFds, readAll } from './helpers/descriptors.js';

/** Ends the child and the channel with the test. */
function tidy<T>(started: ChildWithChannel<T>): ChildWithChannel<T> {
  ending(started.channel as Channel<unknown>);
  atEndOfTest(async () => {
    const { child } = started;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return started;
}

describe('spawnWithChannel()', () => {
  it('starts a Node program with a channel', async () => {
    const { child, channel } = tidy(
      spawnWithChannel(process.execPath, [fixturePath('echo-channel')], { stdio: 'inherit' }),
    );
    await channel.send('there and back', [fileFd('content'), ...nullFds(300)], { ack: true });
    const message = await next(channel);
    expect([text(message.data), message.fds.length]).toEqual(['there and back', 301]);
    expect(readAll(closing(message.fds.take(0)))).toBe('content');
    const exited = once(child, 'exit');
    await channel.close();
    expect(await exited).toEqual([0, null]);
  });

  it('puts its socket behind what stdio lists, and adds to the environment it is given', async () => {
    const program = 'console.log(process.env.FDPASS_CHANNEL_FD, process.env.MINE, process.env.HOME)';
    const { child } = tidy(
      spawnWithChannel(process.execPath, ['--eval', program], {
        stdio: ['ignore', 'pipe', 'inherit', 'ignore', 'ignore'],
        env: { MINE: 'yes' },
      }),
    );
    const printed: Buffer[] = [];
    child.stdout?.on('data', (data: Buffer) => printed.push(data));
    await once(child, 'close');
    expect(text(Buffer.concat(printed))).toBe('5 yes undefined\n');
  });

  it('tells by the channel that a program cannot be started', async () => {
    const { child, channel } = tidy(spawnWithChannel('/no/such/program'));
    const error = once(child, 'error');
    expect(await codeOfRejection(channel.receive())).toBe('ERR_FDPASS_PEER_GONE');
    expect(await error).toEqual([expect.objectContaining({ code: 'ENOENT' })]);
  });

  it('leaves nothing open when the arguments are wrong', () => {
    expect(() => spawnWithChannel(5 as never)).toThrow();
    expect(() => spawnWithChannel('true', [], { codec: 'xml' } as never)).toThrow();
  });

  it('takes no options in the place of the arguments', () => {
    const options = { stdio: 'inherit' } as never;
    const start = () => spawnWithChannel(process.execPath, options);
    expect(start).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_INVALID_ARGUMENT' }));
    expect(start).toThrow(/options come third/);
  });

  it('tells when the child is killed', async () => {
    const { child, channel } = tidy(spawnWithChannel(process.execPath, [fixturePath('chatter')]));
    const close = event(channel, 'close');
    let seen = 0;
    channel.on('error', () => undefined);
    channel.on('message', () => {
      seen += 1;
    });
    await until(() => seen > 20);
    child.kill('SIGKILL');
    await close;
  });
});

describe.skipIf(!hasPython())('a program in Python (needs python3)', () => {
  const peer = fileURLToPath(new URL('./fixtures/peer.py', import.meta.url));

  it.each([[[]], [['--later-minor']]])('speaks the protocol %s', async (args) => {
    const { child, channel } = tidy(spawnWithChannel('python3', [peer, ...args], { stdio: 'inherit' }));
    const greeting = await next(channel);
    expect(text(greeting.data)).toBe('greeting');
    const file = closing(greeting.fds.take(0));
    const into = new Uint8Array(20);
    // Python left the position at the end of what it wrote; a copy shares it.
    expect(file.describe().kind).toBe('file');
    expect(file.readSync(into)).toBe(0);
    const content = fileFd('to Python and back');
    await channel.send('there and back', [content, ...nullFds(400)], { ack: true });
    const large = new Uint8Array(3_000_000).fill(7);
    const sent = channel.send(large);
    const echo = await next(channel);
    expect([text(echo.data), echo.fds.length]).toEqual(['there and back', 401]);
    expect(readAll(closing(echo.fds.take(0)))).toBe('to Python and back');
    expect(Buffer.compare((await next(channel)).data, large)).toBe(0);
    await sent;
    const exited = once(child, 'exit');
    await channel.close();
    expect(await exited).toEqual([0, null]);
  });
});

describe('Channel.fromParent()', () => {
  it('needs a parent that left a channel', () => {
    expect(codeOf(() => Channel.fromParent())).toBe('ERR_FDPASS_NO_PARENT');
    process.env.FDPASS_CHANNEL_FD = 'three';
    expect(codeOf(() => Channel.fromParent())).toBe('ERR_FDPASS_NO_PARENT');
    expect(process.env.FDPASS_CHANNEL_FD).toBeUndefined();
  });

  it('does not take another descriptor that has the number now', () => {
    const file = fileFd('not a socket');
    const copy = Fd.duplicate(file).release();
    process.env.FDPASS_CHANNEL_FD = String(copy);
    expect(codeOf(() => Channel.fromParent())).toBe('ERR_FDPASS_KIND');
    // It is still open, and nobody's.
    Fd.adopt(copy).close();
  });
});
