import { EventEmitter, once } from 'node:events';
import { Channel, type Message } from 'fdpass';
import { afterEach, describe, expect, it } from 'vitest';
import { channels, codeOfRejection, event, next, text, turn, until } from '../helpers/channels.js';
import { nullFds } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';

type Bytes = Message<Uint8Array>;

/** Catches what listeners throw; the test runner's own handlers stay out of it. */
function uncaught(): { errors: Error[]; restore(): void } {
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const errors: Error[] = [];
  process.on('uncaughtException', (error) => errors.push(error));
  const restore = (): void => {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  };
  return { errors, restore };
}

let restore: (() => void) | undefined;
afterEach(() => {
  restore?.();
  restore = undefined;
});

describe('consumption', () => {
  it('in two styles at a time is refused', async () => {
    const [, right] = channels();
    const waiting = right.receive();
    expect(() => right.on('message', () => undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_FDPASS_BUSY' }),
    );
    expect(await codeOfRejection(right[Symbol.asyncIterator]().next())).toBe('ERR_FDPASS_BUSY');
    right.destroy();
    expect(await waiting).toBeUndefined();
  });

  it('by receive() or a loop is refused while somebody listens', async () => {
    const [, right] = channels();
    const listener = (): void => undefined;
    right.on('message', listener);
    expect(await codeOfRejection(right.receive())).toBe('ERR_FDPASS_BUSY');
    expect(await codeOfRejection(right[Symbol.asyncIterator]().next())).toBe('ERR_FDPASS_BUSY');
    right.off('message', listener);
    const waiting = right.receive();
    right.destroy();
    expect(await waiting).toBeUndefined();
  });

  it('by a second loop is refused while the first runs, and allowed when it was left', async () => {
    const [left, right] = channels();
    for (const name of ['a', 'b', 'c']) left.post(name);
    for await (const message of right) {
      expect(text(message.data)).toBe('a');
      expect(await codeOfRejection(right[Symbol.asyncIterator]().next())).toBe('ERR_FDPASS_BUSY');
      expect(await codeOfRejection(right.receive())).toBe('ERR_FDPASS_BUSY');
      break;
    }
    expect(right.closed).toBe(false);
    expect(text((await next(right)).data)).toBe('b');
    for await (const message of right) {
      expect(text(message.data)).toBe('c');
      break;
    }
  });

  it('may change hands in the middle of a batch without losing a message', async () => {
    const [left, right] = channels();
    for (let index = 0; index < 30; index += 1) left.post(String(index), nullFds(1));
    const seen: string[] = [];
    const take = (message: Bytes): void => {
      seen.push(text(message.data));
    };
    await new Promise<void>((resolve) => {
      right.once('message', (message) => {
        take(message);
        resolve();
      });
    });
    for (let count = 0; count < 3; count += 1) {
      take(await next(right));
    }
    for await (const message of right) {
      take(message);
      if (seen.length === 10) break;
    }
    right.on('message', take);
    await until(() => seen.length === 30);
    expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => String(index)));
  });

  it('survives removeAllListeners()', async () => {
    const [left, right] = channels();
    right.on('message', () => undefined);
    right.removeAllListeners();
    left.post('one');
    expect(text((await next(right)).data)).toBe('one');
    const coming = once(right, 'message');
    left.post('two');
    const [message] = (await coming) as [Bytes];
    expect(text(message.data)).toBe('two');
  });
});

describe('a listener', () => {
  it('that throws loses nothing: the rest comes later, in order', async () => {
    const { errors, restore: again } = uncaught();
    restore = again;
    const [left, right] = channels();
    const seen: string[] = [];
    right.on('message', (message) => {
      seen.push(text(message.data));
      if (seen.length % 7 === 3) throw new Error(`thrown at ${seen.length}`);
    });
    for (let index = 0; index < 50; index += 1) left.post(String(index), nullFds(1));
    await until(() => seen.length === 50);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => String(index)));
    expect(errors.map(({ message }) => message)).toEqual(
      [3, 10, 17, 24, 31, 38, 45].map((n) => `thrown at ${n}`),
    );
  });

  it('that pauses gets the rest after resume()', async () => {
    const [left, right] = channels();
    const seen: string[] = [];
    right.on('message', (message) => {
      seen.push(text(message.data));
      if (seen.length % 5 === 0) right.pause();
    });
    for (let index = 0; index < 20; index += 1) left.post(String(index), nullFds(1));
    for (const count of [5, 10, 15, 20]) {
      await until(() => seen.length === count);
      await turn(3);
      expect(seen.length).toBe(count);
      expect(right.paused).toBe(true);
      right.resume();
    }
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
  });

  it('that destroys the channel gets no more, and the rest is closed', async () => {
    const [left, right] = channels();
    const fds = nullFds(3);
    const before = countDescriptors();
    for (let index = 0; index < 20; index += 1) left.post(String(index), fds);
    let seen = 0;
    right.on('message', () => {
      seen += 1;
      if (seen === 4) right.destroy();
    });
    await event(right, 'close');
    await turn(2);
    expect(seen).toBe(4);
    // The socket of the channel is gone, too, and its peer's as soon as that has noticed.
    expect(countDescriptors()).toBeLessThan(before);
  });

  it('that closes the channel gets no more', async () => {
    const [left, right] = channels();
    for (let index = 0; index < 20; index += 1) left.post(String(index), nullFds(3));
    let seen = 0;
    right.on('message', () => {
      seen += 1;
      if (seen === 4) void right.close();
    });
    left.on('message', () => undefined);
    await Promise.all([event(right, 'close'), event(left, 'close')]);
    expect(seen).toBe(4);
  });

  it('may send from inside, to the same channel too', async () => {
    const [left, right] = channels();
    right.on('message', (message) => right.post(message.data, message.fds));
    const answers: string[] = [];
    left.on('message', (message) => answers.push(`${text(message.data)}${message.fds.length}`));
    for (let index = 0; index < 40; index += 1) left.post(String(index), nullFds(2));
    await until(() => answers.length === 40);
    expect(answers).toEqual(Array.from({ length: 40 }, (_, index) => `${index}2`));
  });
});

describe('receive()', () => {
  it('resolves in the order of the calls', async () => {
    const [left, right] = channels();
    const waiting = [right.receive(), right.receive(), right.receive()];
    for (const name of ['a', 'b', 'c']) left.post(name);
    const messages = await Promise.all(waiting);
    expect(messages.map((message) => text(message?.data))).toEqual(['a', 'b', 'c']);
  });

  it('that is aborted consumes no message', async () => {
    const [left, right] = channels();
    const controller = new AbortController();
    const aborted = right.receive({ signal: controller.signal });
    const other = next(right);
    const reason = new Error('enough');
    controller.abort(reason);
    const error = await aborted.catch((error: unknown) => error);
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
    left.post('still there');
    expect(text((await other).data)).toBe('still there');
  });

  it('is refused by a signal that is aborted already', async () => {
    const [left, right] = channels();
    left.post('first');
    const error = await right.receive({ signal: AbortSignal.abort() }).catch((error: unknown) => error);
    expect(error).toMatchObject({ name: 'AbortError' });
    expect(text((await next(right)).data)).toBe('first');
  });

  it('leaves no listener on the signal', async () => {
    const [left, right] = channels();
    const { signal } = new AbortController();
    left.post('x');
    await right.receive({ signal });
    const waiting = right.receive({ signal });
    left.post('y');
    await waiting;
    expect(EventEmitter.getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('a loop', () => {
  it('stops reading while its body is slow', async () => {
    const [left, right] = channels();
    let refused = 0;
    for (let index = 0; index < 4_000; index += 1) if (!left.post('x'.repeat(1_000))) refused += 1;
    let seen = 0;
    for await (const _ of right) {
      seen += 1;
      if (seen === 1) {
        await turn(20);
        // Two batches are here, the others wait in the kernel and at the sender.
        expect(refused).toBeGreaterThan(0);
      }
      if (seen === 4_000) break;
    }
    expect(seen).toBe(4_000);
  });

  it('closes the descriptors of a message at the next turn at the latest', async () => {
    const [left, right] = channels();
    const { socketPair, receiveMessage } = await import('fdpass');
    const [near, far] = socketPair();
    left.post('with a socket', [far]);
    left.post('next');
    left.post('one more');
    far.close();
    let seen = 0;
    for await (const _ of right) {
      seen += 1;
      if (seen === 2) {
        await turn(2);
        // The peer of the released socket sees its end while the loop's body is still at work.
        expect(receiveMessage(near, { timeout: 0 })).toBeUndefined();
        break;
      }
    }
    near.close();
  });

  it('ends when the channel is closed from inside', async () => {
    const [left, right] = channels();
    left.on('message', () => undefined);
    for (let index = 0; index < 5; index += 1) left.post(String(index), nullFds(1));
    let seen = 0;
    for await (const _ of right) {
      seen += 1;
      if (seen === 2) void right.close();
    }
    expect(seen).toBe(2);
    await right.close();
  });

  it('is over for whoever asks again', async () => {
    const [left, right] = channels();
    const iterator = right[Symbol.asyncIterator]();
    const waiting = iterator.next();
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    left.post('for the next one');
    expect(text((await next(right)).data)).toBe('for the next one');
  });
});

describe('an idle channel', () => {
  it('has read nothing before it is asked', async () => {
    const { socketPair } = await import('fdpass');
    const [left, right] = socketPair();
    const sender = Channel.from(left);
    const receiver = Channel.from(right);
    const fds = nullFds(1);
    sender.post('early', fds);
    const before = countDescriptors();
    await turn(3);
    expect(countDescriptors()).toBe(before);
    expect(text((await next(receiver)).data)).toBe('early');
    sender.destroy();
    receiver.destroy();
  });
});
