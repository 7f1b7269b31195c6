// Code of the user that runs inside a channel, and ends that come while something is waited for.
import {
  type BytesChannelOptions,
  Channel,
  type Codec,
  channelPair,
  detachForThread,
  type Fd,
  type Message,
} from 'fdpass';
import { describe, expect, it } from 'vitest';
import { channels, codeOfRejection, ending, event, next, text, turn } from '../helpers/channels.js';
import { codeOf, fileFd, nullFds, readAll } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';

type Bytes = Message<Uint8Array>;

describe('a listener for one message', () => {
  it('may ask for the next one of the same batch', async () => {
    const [left, right] = channels();
    for (const name of ['a', 'b', 'c']) left.post(name, nullFds(1));
    const asked = new Promise<Bytes | undefined>((resolve) => {
      right.once('message', () => resolve(right.receive()));
    });
    const second = await asked;
    expect(text(second?.data)).toBe('b');
    second?.[Symbol.dispose]();
    expect(text((await next(right)).data)).toBe('c');
  });

  it('may go on with a loop over the rest of the same batch', async () => {
    const [left, right] = channels();
    for (const name of ['a', 'b', 'c']) left.post(name, nullFds(1));
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      right.once('message', async () => {
        for await (const { data, fds } of right) {
          fds.at(0)?.describe();
          seen.push(text(data));
          if (seen.length === 2) break;
        }
        resolve();
      });
    });
    expect(seen).toEqual(['b', 'c']);
  });

  it('may move the channel to another thread, with the rest of the same batch', async () => {
    const [left, right] = channels();
    for (const name of ['a', 'b', 'c']) left.post(name, [fileFd(name)]);
    const token = await new Promise<ReturnType<typeof detachForThread>>((resolve) => {
      right.once('message', ({ fds }) => {
        const moved = detachForThread(right);
        expect(readAll(fds.at(0) as Fd)).toBe('a');
        resolve(moved);
      });
    });
    const claimed = ending(Channel.fromThread(token));
    for (const name of ['b', 'c']) {
      const { data, fds } = await next(claimed);
      expect([text(data), readAll(fds.at(0) as Fd)]).toEqual([name, name]);
    }
  });

  it('keeps its descriptors, and loses none, when it takes later messages before it returns', async () => {
    const [left, right] = channels();
    right.pause();
    for (const name of ['a', 'b', 'c', 'd']) left.post(name, [fileFd(name)]);
    right.on('message', () => undefined).removeAllListeners('message');
    right.resume();
    await turn(3);
    const before = countDescriptors();
    await new Promise<void>((resolve) => {
      right.once('message', async ({ fds }) => {
        const loop = right[Symbol.asyncIterator]();
        const later = [loop.next(), loop.next()];
        expect(readAll(fds.at(0) as Fd)).toBe('a');
        await Promise.all(later);
        await loop.return?.();
        resolve();
      });
    });
    await turn(3);
    // The last one waits in the queue.
    expect(countDescriptors()).toBe(before - 3);
    expect(readAll((await next(right)).fds.at(0) as Fd)).toBe('d');
  });
});

describe('a listener that leaves others a message with very many descriptors', () => {
  it('leaves it whole', async () => {
    const [left, right] = channels();
    const many = nullFds(1_100);
    await left.send('small');
    left.post('large', many);
    const asked = new Promise<Bytes | undefined>((resolve) => {
      right.once('message', () => setImmediate(() => resolve(right.receive())));
    });
    const large = await asked;
    expect(large?.fds.length).toBe(1_100);
    expect(large?.fds.at(1_099).describe().kind).toBe('device');
    large?.[Symbol.dispose]();
  });
});

describe('while a message is collected', () => {
  it('an array that a getter changes hides no descriptor that it closed', async () => {
    const [left] = channels();
    const first = fileFd('1');
    const items: (Fd | { readonly fd: number })[] = [first];
    items.push({
      get fd(): number {
        items.shift();
        first.close();
        return fileFd('2').fd;
      },
    });
    expect(codeOf(() => left.post('x', items))).toBe('ERR_FDPASS_FD_CLOSED');
  });

  it('a signal that the codec aborts takes back a message that had to wait', async () => {
    const controller = new AbortController();
    const codec: Codec<string> = {
      id: 0x1000,
      encode(value) {
        if (value === 'abort') controller.abort();
        return Buffer.alloc(60_000);
      },
      decode: () => '',
    };
    const [left, right] = channelPair({ codec }).map(ending) as [Channel<string>, Channel<string>];
    while (left.post('fill'));
    const sent = left.send('abort', [], { signal: controller.signal });
    await expect(sent).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    right.destroy();
  });
});

describe('a codec that ends the waiting for the message that it decodes', () => {
  const codec = (whileDecoding: () => void): Codec<string> => ({
    id: 0x1000,
    encode: (value) => Buffer.from(value),
    decode(bytes) {
      whileDecoding();
      return text(bytes);
    },
  });

  it('by its signal has come too late, and nothing is lost', async () => {
    const controller = new AbortController();
    const [left, right] = channelPair({ codec: codec(() => controller.abort()) });
    ending(left).post('x', nullFds(1));
    const message = await ending(right).receive({ signal: controller.signal });
    expect([message?.data, message?.fds.length]).toEqual(['x', 1]);
    message?.[Symbol.dispose]();
  });

  it('by leaving the loop has the message released as ever', async () => {
    let loop: AsyncIterableIterator<Message<string>> | undefined;
    const [left, right] = channelPair({ codec: codec(() => void loop?.return?.()) });
    loop = ending(right)[Symbol.asyncIterator]();
    const first = loop.next();
    ending(left).post('x', nullFds(1));
    const { value } = await first;
    expect([value?.data, value?.fds.length]).toEqual(['x', 1]);
    expect((await loop.next()).done).toBe(true);
  });
});

describe('an end that nobody reads on to', () => {
  it('rejects who waits for an acknowledgement, as messages that came before may wait for them', async () => {
    const [left, right] = channels();
    left.post('1');
    left.post('2');
    const seen: string[] = [];
    for await (const { data } of right) {
      seen.push(text(data));
      if (seen.length === 2) break;
      const sent = right.send('answer', [], { ack: true });
      void left.close();
      expect(await codeOfRejection(sent)).toBe('ERR_FDPASS_CLOSED');
    }
    expect(seen).toEqual(['1', '2']);
  });

  it('comes after the acknowledgements that came before it', async () => {
    const [left, right] = channels();
    right.post('waits');
    const sent = left.send('x', nullFds(1), { ack: true });
    const { data } = await next(right);
    void right.close();
    await sent;
    expect(text(data)).toBe('x');
    expect(text((await next(left)).data)).toBe('waits');
  });

  it('rejects sends that wait for room, of an end that reads no more itself', async () => {
    const [left, right] = channels();
    right.pause();
    const sends = Array.from({ length: 50 }, () => codeOfRejection(right.send(Buffer.alloc(60_000))));
    const acknowledged = codeOfRejection(right.send('x', [], { ack: true }));
    left.destroy();
    expect((await Promise.all(sends)).at(-1)).toBe('EPIPE');
    expect(await acknowledged).toBe('EPIPE');
  });

  it('ends a loop whose answers have no room', async () => {
    const [left, right] = channels();
    for (let index = 0; index < 2_000; index += 1) left.post('question');
    const echo = (async (): Promise<void> => {
      for await (const _ of right) {
        if (right.paused) return;
        await right.send(Buffer.alloc(100_000));
      }
    })();
    await turn(10);
    left.destroy();
    expect(['EPIPE', 'ECONNRESET', 'ERR_FDPASS_PEER_GONE']).toContain(await codeOfRejection(echo));
  });

  it('is told in the thread that a channel moves to, however late somebody asks', async () => {
    const [left, right] = channels();
    left.post('1');
    left.post('2');
    void left.close();
    await next(right);
    await turn(3);
    const claimed = ending(Channel.fromThread(detachForThread(right)));
    await turn(3);
    expect(text((await next(claimed)).data)).toBe('2');
    expect(await claimed.receive()).toBeUndefined();
  });
});

describe('a channel that closes', () => {
  it('goes to no other thread and no other process: it says goodbye on its socket', async () => {
    const [left] = channels();
    const [closing] = channels();
    const closed = closing.close();
    expect(codeOf(() => detachForThread(closing))).toBe('ERR_FDPASS_CLOSED');
    expect(await codeOfRejection(left.send('x', [closing]))).toBe('ERR_FDPASS_CLOSED');
    closing.destroy();
    await closed;
  });
});

describe('kinds that can be read only once', () => {
  const once = (): BytesChannelOptions => ({ accept: { kinds: (['device'] as const).values() } });

  it('are accepted by both ends of a pair', async () => {
    const [left, right] = channels(once());
    left.post('to the right', nullFds(1));
    right.post('to the left', nullFds(1));
    expect((await next(right)).fds.length).toBe(1);
    expect((await next(left)).fds.length).toBe(1);
  });
});

describe('drain', () => {
  it('does not come when the channel breaks: a listener that posts more would end the process', async () => {
    const [left, right] = channels();
    let drains = 0;
    left.on('drain', () => {
      drains += 1;
    });
    const broken = event(left, 'error');
    while (left.post(Buffer.alloc(60_000)));
    right.destroy();
    await broken;
    expect(drains).toBe(0);
  });

  it('comes to who was told to wait, although another message found room before', async () => {
    const [left, right] = channels({ highWater: { messages: 3 } });
    const controllers = Array.from({ length: 100 }, () => new AbortController());
    const sends = controllers.map(({ signal }) =>
      left.send(Buffer.alloc(60_000), [], { signal }).catch(() => undefined),
    );
    const drained = event(left, 'drain');
    expect(left.post('told to wait')).toBe(false);
    for (const controller of controllers) controller.abort();
    expect(left.post('finds room')).toBe(true);
    right.on('message', () => undefined);
    await Promise.all([...sends, drained]);
  });
});
