import { Channel, socketPair } from 'fdpass';
import { describe, expect, it } from 'vitest';
import {
  channelAndPeer,
  channels,
  codeOfRejection,
  ending,
  event,
  next,
  text,
  turn,
  until,
} from '../helpers/channels.js';
import { nullFds } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';

describe('close()', () => {
  it('delivers everything that was sent before, then the end', async () => {
    const [left, right] = channels();
    for (let index = 0; index < 300; index += 1) left.post(String(index), nullFds(1));
    const closed = left.close();
    let seen = 0;
    for await (const _ of right) seen += 1;
    expect(seen).toBe(300);
    expect(await right.receive()).toBeUndefined();
    await closed;
    await right.close();
  });

  it('tells listeners: end, then close, on the side that did not close', async () => {
    const [left, right] = channels();
    const events: string[] = [];
    right.on('message', (message) => events.push(text(message.data)));
    right.on('end', () => events.push('end'));
    right.on('error', () => events.push('error'));
    right.on('close', () => events.push('close'));
    left.post('last');
    await left.close();
    await until(() => events.includes('close'));
    expect(events).toEqual(['last', 'end', 'close']);
    expect(right.closed).toBe(true);
  });

  it('is idempotent, and resolves for everybody who waits', async () => {
    const [left, right] = channels();
    right.on('message', () => undefined);
    await Promise.all([left.close(), left.close(), left[Symbol.asyncDispose]()]);
    await left.close();
    expect(left.destroy().closed).toBe(true);
  });

  it('ends what waits on its own side', async () => {
    const [left, right] = channels();
    const [received, loop] = [left.receive(), right[Symbol.asyncIterator]().next()];
    await Promise.all([left.close(), right.close()]);
    expect(await received).toBeUndefined();
    expect(await loop).toEqual({ done: true, value: undefined });
  });

  it('gives up on a peer that never answers', async () => {
    const [here] = channelAndPeer({ closeTimeout: 50 });
    here.post('x');
    await here.close();
  });

  it('refuses what is sent afterwards', async () => {
    const [left] = channels();
    void left.close();
    expect(await codeOfRejection(left.send('x'))).toBe('ERR_FDPASS_CLOSED');
    expect(() => left.post('x')).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_CLOSED' }));
  });
});

describe('the end of the peer', () => {
  it('without a goodbye is ERR_FDPASS_PEER_GONE, after what it had sent', async () => {
    const [left, right] = channels();
    left.post('first', nullFds(1));
    left.post('second', nullFds(1));
    left.destroy();
    expect(text((await next(right)).data)).toBe('first');
    expect(text((await next(right)).data)).toBe('second');
    expect(await codeOfRejection(right.receive())).toBe('ERR_FDPASS_PEER_GONE');
    expect(await codeOfRejection(right.receive())).toBe('ERR_FDPASS_PEER_GONE');
    expect(await codeOfRejection(right.send('x'))).toBe('ERR_FDPASS_PEER_GONE');
    await right.close();
  });

  it('ends a loop by the error, once', async () => {
    const [left, right] = channels();
    left.post('first');
    left.destroy();
    const loop = right[Symbol.asyncIterator]();
    expect((await loop.next()).done).toBe(false);
    expect(await codeOfRejection(loop.next())).toBe('ERR_FDPASS_PEER_GONE');
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });

  it('with messages of ours unread is ECONNRESET', async () => {
    const [left, right] = channels();
    left.post('unread');
    const waiting = left.receive();
    right.destroy();
    expect(['ECONNRESET', 'ERR_FDPASS_PEER_GONE']).toContain(await codeOfRejection(waiting));
  });

  it('is told by error and close where nobody waits', async () => {
    const [left, right] = channels();
    const error = event(right, 'error');
    const close = event(right, 'close');
    right.on('message', () => undefined);
    left.destroy();
    expect(await error).toMatchObject({ code: 'ERR_FDPASS_PEER_GONE' });
    await close;
  });

  it('is noticed by a channel that only sends', async () => {
    const [left, right] = channels();
    left.post('x');
    const close = event(left, 'close');
    right.destroy();
    await close;
    expect(left.closed).toBe(true);
  });

  it('rejects what waits for an acknowledgement', async () => {
    const [left, right] = channels();
    const sent = left.send('x', [], { ack: true });
    await turn(2);
    right.destroy();
    expect(['ECONNRESET', 'ERR_FDPASS_PEER_GONE', 'EPIPE']).toContain(await codeOfRejection(sent));
  });
});

describe('destroy()', () => {
  it('closes everything at once', async () => {
    const fds = nullFds(2);
    const before = countDescriptors();
    const [left, right] = channels({ highWater: { messages: 1 } });
    // Nobody reads: after the socket's buffer is full, messages queue with copies of their descriptors.
    while (left.post(new Uint8Array(100_000), fds));
    left.post('queued', fds);
    expect(countDescriptors()).toBeGreaterThan(before + 2);
    left.destroy();
    right.destroy();
    await turn(2);
    expect(countDescriptors()).toBe(before);
  });

  it('rejects the sends that wait, with its error', async () => {
    const [left] = channels();
    const waiting: Promise<unknown>[] = [];
    for (let index = 0; index < 10; index += 1) waiting.push(left.send(new Uint8Array(500_000)));
    const reason = new Error('the reason');
    const last = waiting[9]?.catch((error: unknown) => error);
    for (const promise of waiting) promise.catch(() => undefined);
    left.on('error', () => undefined);
    left.destroy(reason);
    expect(await last).toBe(reason);
  });

  it('emits its error to those who listen, then close', async () => {
    const [left] = channels();
    const events: unknown[] = [];
    left.on('error', (error) => events.push(error.message));
    left.on('close', () => events.push('close'));
    left.destroy(new Error('reason'));
    left.destroy(new Error('again'));
    await until(() => events.length === 2);
    expect(events).toEqual(['reason', 'close']);
  });

  it('may be called from inside any event', async () => {
    for (const name of ['message', 'end', 'drain', 'close'] as const) {
      const [left, right] = channels({ highWater: { messages: 1 } });
      const target = name === 'drain' ? left : right;
      const happened = new Promise<void>((resolve) => {
        target.once(name, () => {
          target.destroy();
          resolve();
        });
      });
      right.on('message', () => undefined);
      for (let index = 0; index < 5; index += 1) left.post(new Uint8Array(200_000));
      if (name !== 'drain') void left.close();
      await happened;
      left.destroy();
      right.destroy();
    }
  });
});

describe('ref and unref', () => {
  it('may be called at any time', () => {
    const [left] = channels();
    left.unref().ref();
    left.destroy();
    left.unref().ref();
  });
});

describe('Channel.from', () => {
  it('leaves a socket it cannot use with its owner', () => {
    const [stream, other] = socketPair('datagram');
    expect(() => Channel.from(stream)).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_KIND' }));
    expect(stream.closed).toBe(false);
    stream.close();
    other.close();
  });

  it('leaves the socket with its owner when an option is wrong', () => {
    const [socket, other] = socketPair();
    for (const options of [
      { codec: 'xml' },
      { codec: { id: 3, encode: () => new Uint8Array(), decode: () => 0 } },
      { highWater: { bytes: -1 } },
      { accept: { maxFds: 1.5 } },
      { accept: { kinds: ['sofa'] } },
      { stallTimeout: 0 },
    ]) {
      expect(() => Channel.from(socket, options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_FDPASS_INVALID_ARGUMENT' }),
      );
    }
    expect(socket.closed).toBe(false);
    socket.close();
    other.close();
  });

  it('takes the socket over', () => {
    const [socket, other] = socketPair();
    const channel = ending(Channel.from(socket));
    expect(socket.closed).toBe(true);
    expect(() => Channel.from(socket)).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_FD_CLOSED' }));
    expect(channel.closed).toBe(false);
    other.close();
  });

  it('takes a number over, and leaves it where it was when it cannot', () => {
    const [socket, other] = socketPair();
    const number = socket.release();
    expect(() => Channel.from(number, { stallTimeout: -1 })).toThrow();
    ending(Channel.from(number));
    other.close();
  });
});
