import { fstatSync } from 'node:fs';
import type { Fd } from 'fdpass';
import { describe, expect, it } from 'vitest';
import {
  channelAndPeer,
  channels,
  codeOfRejection,
  event,
  next,
  text,
  turn,
  until,
} from '../helpers/channels.js';
import { closing, fileFd, nullFds, readAll } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';

const large = new Uint8Array(400_000);
const contents = (fd: Fd): string => readAll(closing(fd));

describe('post()', () => {
  it('says when there is no room, and drain says when there is again', async () => {
    const [left, right] = channels({ highWater: { messages: 3 } });
    let room = 0;
    while (left.post(large)) room += 1;
    expect(room).toBeGreaterThanOrEqual(3);
    const drained = event(left, 'drain');
    right.on('message', () => undefined);
    await drained;
    await until(() => left.post('more'));
  });

  it('counts descriptors as well', () => {
    const [left] = channels({ highWater: { fds: 4 } });
    while (left.post(large));
    const fds = nullFds(5);
    expect(left.post('x', fds)).toBe(false);
  });

  it('refuses above the queue’s limit, and moves nothing', async () => {
    const [left] = channels({ maxQueued: { messages: 2 } });
    const file = fileFd('x');
    const before = countDescriptors();
    const refused = (async () => {
      for (;;) await Promise.race([left.send(large, [file], { transfer: false }), turn()]);
    })();
    expect(await codeOfRejection(refused)).toBe('ERR_FDPASS_QUEUE_FULL');
    expect(await codeOfRejection(left.send('x', [file], { transfer: true }))).toBe('ERR_FDPASS_QUEUE_FULL');
    expect(file.closed).toBe(false);
    expect(countDescriptors()).toBeGreaterThanOrEqual(before);
    left.on('error', () => undefined);
    left.destroy();
  });

  it('throws for what cannot be sent', () => {
    const [left] = channels();
    const gone = fileFd('x');
    gone.close();
    expect(() => left.post('x', [gone])).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_FD_CLOSED' }));
    expect(() => left.post('x', [-1])).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_BAD_FD' }));
    expect(() => left.post(5 as never)).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_CODEC' }));
    expect(() => left.post('x', 5 as never)).toThrow(
      expect.objectContaining({ code: 'ERR_FDPASS_INVALID_ARGUMENT' }),
    );
  });
});

describe('send()', () => {
  it('resolves when the message has left, not before', async () => {
    const [left, right] = channels();
    let left_ = 0;
    const sends = Array.from({ length: 10 }, () => left.send(large).then(() => (left_ += 1)));
    await turn(3);
    expect(left_).toBeLessThan(10);
    right.on('message', () => undefined);
    await Promise.all(sends);
    expect(left_).toBe(10);
  });

  it('with ack resolves when the peer has taken the message', async () => {
    const [left, right] = channels();
    let arrived = false;
    const sent = left.send('x', nullFds(3), { ack: true }).then(() => {
      arrived = true;
    });
    await turn(5);
    expect(arrived).toBe(false);
    const message = await next(right);
    await sent;
    expect(message.fds.length).toBe(3);
  });

  it('with ack rejects when the peer accepts less', async () => {
    const [left, right] = channelsAccepting({ maxFds: 2 });
    right.on('message', () => undefined);
    await left.send('fits', nullFds(2), { ack: true });
    const code = await codeOfRejection(left.send('does not', nullFds(3), { ack: true }));
    expect(['ERR_FDPASS_PEER_TOO_MANY_FDS', 'ERR_FDPASS_TOO_MANY_FDS']).toContain(code);
    await left.send('and goes on', nullFds(1), { ack: true });
  });

  it('with ack rejects when the peer refuses a kind', async () => {
    const [left, right] = channelsAccepting({ kinds: ['file'] });
    const codes: unknown[] = [];
    right.on('message', (message) => codes.push(message.error?.code ?? message.fds.length));
    await left.send('a file', [fileFd('x')], { ack: true });
    expect(await codeOfRejection(left.send('a device', [...nullFds(1), fileFd('y')], { ack: true }))).toBe(
      'ERR_FDPASS_PEER_REFUSED',
    );
    expect(codes).toEqual([1, 'ERR_FDPASS_REFUSED']);
  });

  it('moves the number itself into the queue: there may be no free one for a copy', async () => {
    const [left, right] = channels();
    while (left.post(large));
    const files = [fileFd('one'), fileFd('two')];
    const numbers = files.map((file) => file.fd);
    const inodes = (): number[] => numbers.map((number) => fstatSync(number).ino);
    const before = inodes();
    const sent = left.send('queued', files, { transfer: true });
    expect(files.map((file) => file.closed)).toEqual([true, true]);
    expect(inodes()).toEqual(before);
    let arrived: string[] = [];
    right.on('message', ({ data, fds }) => {
      if (data.length < 100) arrived = fds.takeAll().map(contents);
    });
    await sent;
    await until(() => arrived.length > 0);
    expect(arrived).toEqual(['one', 'two']);
  });

  it('moves the descriptors of a message on, and leaves those that were taken', async () => {
    const [left, right] = channels();
    const [far, end] = channels();
    await left.send('x', [fileFd('one'), fileFd('two'), fileFd('three')], { transfer: true });
    const message = await next(right);
    const taken = message.fds.take(1);
    const look = message.fds.at(0);
    await far.send('on', message.fds, { transfer: true });
    expect(look.closed).toBe(true);
    expect(() => message.fds.at(2)).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_FD_CLOSED' }));
    expect((await next(end)).fds.takeAll().map(contents)).toEqual(['one', 'three']);
    expect(contents(taken)).toBe('two');
  });

  it('is taken back by its signal as long as nothing has left', async () => {
    const [left, right] = channels();
    while (left.post(large));
    const controller = new AbortController();
    const file = fileFd('moved');
    const before = countDescriptors();
    const sent = left.send('never', [file], { signal: controller.signal, transfer: true });
    const reason = new Error('changed my mind');
    const outcome = sent.catch((error: unknown) => error);
    controller.abort(reason);
    expect(await outcome).toMatchObject({ name: 'AbortError', cause: reason });
    expect(file.closed).toBe(true);
    await turn(2);
    expect(countDescriptors()).toBe(before - 1);
    left.post('after');
    const seen: string[] = [];
    right.on('message', (message) => {
      if (message.data.length < 100) seen.push(text(message.data));
    });
    await until(() => seen.length === 1);
    expect(seen).toEqual(['after']);
  });

  it('is not taken back once it has left', async () => {
    const [left, right] = channels();
    const controller = new AbortController();
    const sent = left.send('x', [], { ack: true, signal: controller.signal });
    controller.abort();
    expect(text((await next(right)).data)).toBe('x');
    await sent;
  });

  it('leaves no listener on the signal', async () => {
    const { EventEmitter } = await import('node:events');
    const [left, right] = channels();
    const { signal } = new AbortController();
    right.on('message', () => undefined);
    await Promise.all([left.send(large, [], { signal }), left.send('x', [], { signal, ack: true })]);
    await Promise.all([left.send(large, [], { signal }), left.send(large, [], { signal })]);
    expect(EventEmitter.getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('rejects by a signal that is aborted already, and sends nothing', async () => {
    const [left, right] = channels();
    const sent = left.send('no', [], { signal: AbortSignal.abort() });
    expect(await codeOfRejection(sent)).toBe('ABORT_ERR');
    left.post('yes');
    expect(text((await next(right)).data)).toBe('yes');
  });
});

describe('two sides', () => {
  it('that both send as fast as they can with acknowledgements do not block each other', async () => {
    const count = 400;
    const [left, right] = channels({ highWater: { messages: 8 } });
    const seen = [0, 0];
    const fds = nullFds(2);
    const sends: Promise<void>[] = [];
    for (const [side, channel] of [left, right].entries()) {
      channel.on('message', () => {
        seen[side] = (seen[side] ?? 0) + 1;
      });
      for (let index = 0; index < count; index += 1)
        sends.push(channel.send(new Uint8Array(20_000), fds, { ack: true }));
    }
    await Promise.all(sends);
    expect(seen).toEqual([count, count]);
  });

  it('of which one never reads cost bounded memory and descriptors', async () => {
    const [here, peer] = channelAndPeer({ maxQueued: { messages: 50, fds: 60 } });
    const fds = nullFds(1);
    const before = countDescriptors();
    const refused = (() => {
      try {
        for (;;) here.post(large, fds);
      } catch (error) {
        return error;
      }
    })();
    expect(refused).toMatchObject({ code: 'ERR_FDPASS_QUEUE_FULL' });
    expect(countDescriptors() - before).toBeLessThanOrEqual(60);
    expect(peer.closed).toBe(false);
    here.destroy();
  });
});

function channelsAccepting(accept: object): ReturnType<typeof channels> {
  return channels({ accept });
}

describe('a loop that answers with acknowledgements', () => {
  it('does not wait for ever behind messages it has not asked for', async () => {
    const [left, right] = channels();
    const count = 3_000;
    const fds = nullFds(1);
    const echo = (async () => {
      for await (const message of right) await right.send(message.data, message.fds, { ack: true });
    })();
    let answers = 0;
    left.on('message', () => {
      answers += 1;
    });
    for (let index = 0; index < count; index += 1) left.post('x', fds);
    await until(() => answers === count);
    void left.close();
    await echo;
  });

  it('on both sides neither', async () => {
    const [left, right] = channels();
    const count = 600;
    const [near, far] = [left, right].map((channel) => {
      let seen = 0;
      return (async () => {
        for await (const message of channel) {
          seen += 1;
          const left = Number(text(message.data));
          if (left > 0) await channel.send(String(left - 1), message.fds, { ack: true });
          if (seen === count) break;
        }
        return seen;
      })();
    });
    const fds = nullFds(1);
    // Every message is answered once: each side gets as many as it sent, and as many answers.
    for (let index = 0; index < count / 2; index += 1) {
      left.post('1', fds);
      right.post('1', fds);
    }
    expect(await Promise.all([near, far])).toEqual([count, count]);
  });
});

describe('what turns out to be more than the peer accepts', () => {
  it('rejects its promise, and the channel goes on', async () => {
    const [left, right] = channelsAccepting({ maxFds: 300 });
    const [fd] = nullFds(1);
    const many = Array.from({ length: 400 }, () => fd as Fd);
    const refused = codeOfRejection(left.send('too many', many));
    const sent = left.send('after', many.slice(0, 300), { ack: true });
    const message = await next(right);
    expect([text(message.data), message.fds.length]).toEqual(['after', 300]);
    expect(await refused).toBe('ERR_FDPASS_TOO_MANY_FDS');
    await sent;
  });

  it('is told by an event where there is no promise', async () => {
    const [left, right] = channelsAccepting({ maxFds: 300, maxMessageBytes: 2_000_000 });
    const [fd] = nullFds(1);
    const codes: string[] = [];
    left.on('undelivered', (error) => codes.push(error.code));
    left.post(
      'too many',
      Array.from({ length: 400 }, () => fd as Fd),
    );
    left.post(new Uint8Array(3_000_000));
    left.post('after');
    expect(text((await next(right)).data)).toBe('after');
    await until(() => codes.length === 2);
    expect(codes).toEqual(['ERR_FDPASS_TOO_MANY_FDS', 'ERR_FDPASS_TOO_LARGE']);
  });
});
