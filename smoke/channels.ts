/** Framed channels in one process: the three styles of consumption, acknowledgements, codecs, many descriptors. */
import { type Codec, channelPair, type Fd } from 'fdpass';
import { check, closeAll, codeOf, nullFds, same, until } from './check.js';

const text = (data: Uint8Array | undefined): string => new TextDecoder().decode(data);

async function closeBoth(...channels: { close(): Promise<void> }[]): Promise<void> {
  await Promise.all(channels.map((channel) => channel.close()));
}

interface Upload {
  readonly name: string;
  readonly file: Fd;
}

const uploads: Codec<Upload> = {
  id: 0x1001,
  encode({ name, file }, fds) {
    fds.push(file);
    return new TextEncoder().encode(name);
  },
  decode: (bytes, fds) => ({ name: text(bytes), file: fds.take(0) }),
};

export async function checkChannels(): Promise<void> {
  await check("'message' listeners get everything in order", async () => {
    const [left, right] = channelPair();
    const fds = nullFds(2);
    const seen: string[] = [];
    right.on('message', (message) => seen.push(`${text(message.data)} ${message.fds.length}`));
    for (let index = 0; index < 500; index += 1) left.post(String(index), fds);
    await until(() => seen.length === 500);
    same(
      seen.filter((line, index) => line !== `${index} 2`),
      [],
    );
    closeAll(fds);
    await closeBoth(left, right);
  });

  await check('an error that a listener throws is reported once, and the rest arrives', async () => {
    const [left, right] = channelPair();
    const errors: string[] = [];
    const onError = (error: Error): unknown => errors.push(error.message);
    process.on('uncaughtException', onError);
    const seen: string[] = [];
    right.on('message', ({ data }) => {
      seen.push(text(data));
      if (seen.length === 2) throw new Error('thrown on purpose');
    });
    for (const name of ['a', 'b', 'c', 'd']) left.post(name);
    await until(() => seen.length === 4);
    process.off('uncaughtException', onError);
    same([seen, errors], [['a', 'b', 'c', 'd'], ['thrown on purpose']]);
    await closeBoth(left, right);
  });

  await check('for await, to the end', async () => {
    const [left, right] = channelPair();
    const [fd] = nullFds(1);
    for (let index = 0; index < 100; index += 1) left.post(String(index), fd ? [fd] : []);
    const closed = left.close();
    let count = 0;
    for await (const message of right) {
      same(text(message.data), String(count));
      count += message.fds.length;
    }
    same(count, 100);
    fd?.close();
    await closed;
    await closeBoth(right);
  });

  await check('receive() with a signal consumes nothing when it is aborted', async () => {
    const [left, right] = channelPair();
    const abort = new AbortController();
    const waiting = codeOf(() => right.receive({ signal: abort.signal }));
    abort.abort();
    same(await waiting, 'ABORT_ERR');
    left.post('still there');
    const message = await right.receive();
    same(text(message?.data), 'still there');
    await closeBoth(left, right);
  });

  await check('an acknowledged message, and one that the peer refuses', async () => {
    const [left, right] = channelPair({ accept: { maxFds: 1 } });
    const fds = nullFds(2);
    right.on('message', () => undefined);
    await left.send('one', fds.slice(0, 1), { ack: true });
    same(await codeOf(() => left.send('two', fds, { ack: true })), 'ERR_FDPASS_TOO_MANY_FDS');
    closeAll(fds);
    await closeBoth(left, right);
  });

  await check('1,000 descriptors in one message', async () => {
    const [left, right] = channelPair();
    const fds = nullFds(1000);
    const sent = left.send('many', fds, { transfer: true });
    const message = await right.receive();
    await sent;
    same(message?.fds.length, 1000);
    closeAll(message?.fds);
    await closeBoth(left, right);
  });

  await check('a megabyte in one message', async () => {
    const [left, right] = channelPair();
    const sent = left.send(new Uint8Array(1 << 20).fill(7));
    const message = await right.receive();
    await sent;
    same([message?.data.length, message?.data[12_345]], [1 << 20, 7]);
    await closeBoth(left, right);
  });

  for (const codec of ['json', 'v8'] as const) {
    await check(`values by the codec ${codec}`, async () => {
      const [left, right] = channelPair<{ list: number[]; text: string }>({ codec });
      await left.send({ list: [1, 2, 3], text: 'ö' });
      same((await right.receive())?.data, { list: [1, 2, 3], text: 'ö' });
      await closeBoth(left, right);
    });
  }

  await check('a codec that puts descriptors into values', async () => {
    const [left, right] = channelPair({ codec: uploads });
    const [file] = nullFds(1);
    if (file !== undefined) await left.send({ name: 'nothing', file });
    const message = await right.receive();
    same([message?.data.name, message?.data.file.describe().kind], ['nothing', 'device']);
    closeAll(file && message ? [file, message.data.file] : []);
    await closeBoth(left, right);
  });

  await check('destroy() in the middle of a batch closes the rest', async () => {
    const [left, right] = channelPair();
    const fds = nullFds(3);
    let seen = 0;
    right.on('message', () => {
      seen += 1;
      right.destroy();
    });
    for (let index = 0; index < 20; index += 1) left.post('x', fds);
    await until(() => right.closed);
    same(seen, 1);
    left.destroy();
    closeAll(fds);
  });

  await check('regression: busy channels do not keep timers from firing (Bun)', async () => {
    const fds = nullFds(4);
    const pairs = Array.from({ length: 10 }, () => channelPair());
    for (const [left, right] of pairs) {
      const fill = (): void => {
        while (!left.closed && left.post('x', fds));
      };
      left.on('drain', fill);
      right.on('message', (message) => message.fds.take(0).close());
      fill();
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const channel of pairs.flat()) channel.destroy();
    closeAll(fds);
  });

  await check('nextTick and microtasks run before the loop goes on', async () => {
    const [left, right] = channelPair();
    const order: string[] = [];
    right.on('message', () => {
      setImmediate(() => order.push('immediate'));
      void Promise.resolve().then(() => order.push('microtask'));
      process.nextTick(() => order.push('tick'));
      order.push('listener');
    });
    left.post('x');
    await until(() => order.length === 4);
    same(order, ['listener', 'tick', 'microtask', 'immediate']);
    await closeBoth(left, right);
  });
}
