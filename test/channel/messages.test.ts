import { Channel, channelPair, detachForThread, type Message } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { channels, codeOfRejection, ending, next, text } from '../helpers/channels.js';
import { closing, fileFd, identity, nullFds, readAll } from '../helpers/descriptors.js';

describe('a channel', () => {
  it('delivers bytes and descriptors together, in order', async () => {
    const [left, right] = channels();
    for (const name of ['one', 'two', 'three']) {
      const file = fileFd(name);
      await left.send(name, [file]);
      file.close();
    }
    for (const name of ['one', 'two', 'three']) {
      const message = await next(right);
      expect(text(message.data)).toBe(name);
      expect(readAll(closing(message.fds.take(0)))).toBe(name);
    }
  });

  it('delivers messages without bytes, without descriptors and without both', async () => {
    const [left, right] = channels();
    await left.send('', nullFds(2));
    await left.send('only bytes');
    await left.send('');
    const found = [await next(right), await next(right), await next(right)];
    expect(found.map((message) => [text(message.data), message.fds.length])).toEqual([
      ['', 2],
      ['only bytes', 0],
      ['', 0],
    ]);
  });

  it('delivers a message far above the socket’s buffer', async () => {
    const [left, right] = channels();
    const data = new Uint8Array(5_000_000).map((_, index) => index % 251);
    const sent = left.send(data, nullFds(3));
    const message = await next(right);
    await sent;
    expect(Buffer.compare(message.data, data)).toBe(0);
    expect(message.fds.length).toBe(3);
    message.fds.close();
  });

  it.each([253, 254, 1_000, 3_000])('delivers %i descriptors as one message', async (count) => {
    const [left, right] = channels();
    const file = fileFd('the file');
    const sent = left.send(
      'many',
      Array.from({ length: count }, () => file),
      { ack: true },
    );
    const message = await next(right);
    await sent;
    expect(message.fds.length).toBe(count);
    for (const index of [0, count >> 1, count - 1])
      expect(identity(message.fds.at(index))).toBe(identity(file));
    message.fds.close();
    file.close();
  });

  it('lends: what was sent may be closed at once', async () => {
    const [left, right] = channels();
    const file = fileFd('content');
    left.post('x', [file]);
    file.close();
    const message = await next(right);
    expect(readAll(closing(message.fds.take(0)))).toBe('content');
  });

  it('sends the descriptors of another message on, and they stay in its list', async () => {
    const [left, right] = channels();
    await left.send('x', nullFds(3));
    const first = await next(right);
    await right.send('back', first.fds);
    const back = await next(left);
    expect([first.fds.length, back.fds.length]).toEqual([3, 3]);
    expect(identity(first.fds.at(0))).toBe(identity(back.fds.at(0)));
    first.fds.close();
    back.fds.close();
  });

  it('moves what `transfer` lists, and only that', async () => {
    const [left, right] = channels();
    const [moved, lent] = [fileFd('moved'), fileFd('lent')];
    await left.send('x', [moved, lent], { transfer: [moved] });
    expect([moved.closed, lent.closed]).toEqual([true, false]);
    expect(() => moved.fd).toThrow('it was moved by a send');
    const message = await next(right);
    expect(message.fds.length).toBe(2);
    message.fds.close();
    lent.close();
  });

  it('moves nothing when the arguments are wrong', async () => {
    const [left] = channels();
    const [file, other] = [fileFd('file'), fileFd('other')];
    const sent = left.send('x', [file], { transfer: [other] });
    expect(await codeOfRejection(sent)).toBe('ERR_FDPASS_INVALID_TRANSFER');
    expect([file.closed, other.closed]).toEqual([false, false]);
    file.close();
    other.close();
  });

  it('carries an untouched channel, which then works in other hands', async () => {
    const [left, right] = channels();
    const [inner, kept] = channels();
    await left.send('a channel', [inner], { transfer: true });
    expect(inner.closed).toBe(true);
    const message = await next(right);
    const arrived = ending(Channel.from(message.fds.take(0)));
    await kept.send('through it');
    expect(text((await next(arrived)).data)).toBe('through it');
  });

  it('refuses to carry a channel that was used', async () => {
    const [left] = channels();
    const [inner] = channels();
    inner.post('spoken');
    expect(await codeOfRejection(left.send('x', [inner]))).toBe('ERR_FDPASS_NOT_SENDABLE');
  });

  it('refuses to carry a channel that was used in another thread', async () => {
    const [left] = channels();
    const [inner, kept] = channels();
    inner.post('spoken');
    await next(kept);
    const moved = ending(Channel.fromThread(detachForThread(inner)));
    expect(await codeOfRejection(left.send('x', [moved]))).toBe('ERR_FDPASS_NOT_SENDABLE');
    await moved.send('still whole');
    expect(text((await next(kept)).data)).toBe('still whole');
  });

  it('carries a channel that came unused from another thread', async () => {
    const [left, right] = channels();
    const [inner, kept] = channels();
    await left.send('a channel', [Channel.fromThread(detachForThread(inner))], { transfer: true });
    const message = await next(right);
    const arrived = ending(Channel.from(message.fds.take(0)));
    arrived.post('from there');
    expect(text((await next(kept)).data)).toBe('from there');
  });

  it('refuses a stream of Node instead of a descriptor', async () => {
    expect(() => Channel.from(process.stdin as never)).toThrow(
      expect.objectContaining({ code: 'ERR_FDPASS_INVALID_ARGUMENT' }),
    );
  });
});

describe('a message', () => {
  /** Three messages, and what became of the first when the third has come. */
  async function firstOfThree(use: (message: Message<Uint8Array>) => void): Promise<Message<Uint8Array>> {
    const [left, right] = channels();
    for (const name of ['a', 'b', 'c']) left.post(name, nullFds(1));
    let first: Message<Uint8Array> | undefined;
    let seen = 0;
    for await (const message of right) {
      first ??= message;
      if (seen === 0) use(message);
      seen += 1;
      if (seen === 3) break;
    }
    return first as Message<Uint8Array>;
  }

  it('is released when the next is asked for, and says so', async () => {
    const message = await firstOfThree(() => undefined);
    expect(() => message.fds).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_MESSAGE_RELEASED' }));
    expect(() => message.keep()).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_MESSAGE_RELEASED' }));
    expect(text(message.data)).toBe('a');
  });

  it('tells of its release through a list that was taken out of it', async () => {
    let list: Message<Uint8Array>['fds'] | undefined;
    await firstOfThree((message) => {
      list = message.fds;
    });
    expect(() => list?.at(0)).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_MESSAGE_RELEASED' }));
  });

  it('stays open when it is kept', async () => {
    const message = await firstOfThree((message) => message.keep());
    expect(message.fds.at(0).describe().kind).toBe('device');
    message[Symbol.dispose]();
    expect(() => message.fds.at(0)).toThrow();
  });

  it('leaves what was taken with the taker', async () => {
    let taken: ReturnType<Message<Uint8Array>['fds']['take']> | undefined;
    await firstOfThree((message) => {
      taken = message.fds.take(0);
    });
    expect(taken && closing(taken).describe().kind).toBe('device');
  });

  it('closes its descriptors once when it is disposed', async () => {
    const [left, right] = channels();
    left.post('x', nullFds(2));
    const message = await next(right);
    message[Symbol.dispose]();
    message[Symbol.dispose]();
    expect(() => message.fds).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_MESSAGE_RELEASED' }));
  });

  it('is released when its listener returns', async () => {
    const [left, right] = channels();
    const messages: Message<Uint8Array>[] = [];
    const two = new Promise<void>((resolve) => {
      right.on('message', (message) => {
        expect(message.fds.length).toBe(1);
        if (messages.push(message) === 2) resolve();
      });
    });
    left.post('a', nullFds(1));
    left.post('b', nullFds(1));
    await two;
    for (const message of messages)
      expect(() => message.fds).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_MESSAGE_RELEASED' }));
  });

  it('may be kept and taken from inside a listener', async () => {
    const [left, right] = channels();
    const kept = new Promise<Message<Uint8Array>>((resolve) => {
      right.on('message', (message) => {
        if (text(message.data) === 'keep') resolve(message.keep());
      });
    });
    left.post('drop', nullFds(2));
    left.post('keep', [fileFdClosing('kept'), ...nullFds(1)]);
    left.post('drop', nullFds(2));
    const message = await kept;
    expect(readAll(closing(message.fds.take(0)))).toBe('kept');
    message.fds.close();
  });

  function fileFdClosing(content: string): ReturnType<typeof fileFd> {
    return closing(fileFd(content));
  }
});

describe('channelPair', () => {
  it('gives two channels whose peer is this process, by a socket pair', () => {
    const [left, right] = channelPair();
    ending(left);
    ending(right);
    expect(left.peer).toMatchObject({ uid: process.geteuid?.(), pid: process.pid, source: 'socketpair' });
    expect(right.peer.openPidfd()?.close()).toBeUndefined();
  });
});
