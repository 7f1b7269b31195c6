import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Channel, type Codec, channelPair, detachForThread, Fd } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { channels, codeOfRejection, ending, next, text, turn } from './helpers/channels.js';
import { fixturePath } from './helpers/children.js';
import { atEndOfTest } from './helpers/cleanup.js';
import { closing, codeOf, fileFd, nullFds, readAll } from './helpers/descriptors.js';
import { countDescriptors } from './helpers/leaks.js';
import { nativeBinary } from './native-binary.js';

async function startWorker(name: string, workerData?: string): Promise<Worker> {
  const worker = new Worker(fixturePath(name), { workerData });
  atEndOfTest(() => worker.terminate().then(() => undefined));
  await once(worker, 'message');
  return worker;
}

describe('an Fd', () => {
  it('moves to another thread, once', async () => {
    const worker = await startWorker('claim-in-worker');
    const fd = fileFd('x');
    const token = detachForThread(fd);
    expect(fd.closed).toBe(true);
    expect(() => fd.fd).toThrow('it was moved to another thread');
    worker.postMessage(token);
    expect(await once(worker, 'message')).toEqual([{ kind: 'file' }]);
    expect(codeOf(() => Fd.fromThread(token))).toBe('ERR_FDPASS_TOKEN');
  });

  it('is claimed by a token of its own kind only', () => {
    const [left] = channels();
    const token = detachForThread(fileFd('content'));
    expect(codeOf(() => Channel.fromThread(token))).toBe('ERR_FDPASS_TOKEN');
    for (const nonsense of [{}, null, 5, { fdpass: 'fd' }, { fdpass: 'fd', token: 1e9 }])
      expect(codeOf(() => Fd.fromThread(nonsense as never))).toBe('ERR_FDPASS_TOKEN');
    const fd = Fd.fromThread(structuredClone(token));
    expect(readAll(fd)).toBe('content');
    fd.close();
    expect(codeOf(() => detachForThread(left.peer as never))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(codeOf(() => detachForThread(fd))).toBe('ERR_FDPASS_FD_CLOSED');
  });
});

describe('a channel', () => {
  it('moves to another thread in the middle of its life', async () => {
    const worker = await startWorker('claim-in-worker');
    const [left, right] = channels();
    left.post('before');
    expect(text((await next(right)).data)).toBe('before');
    right.post('answer');
    expect(text((await next(left)).data)).toBe('answer');
    left.post('on its way', nullFds(2));
    worker.postMessage(detachForThread(right));
    expect(right.closed).toBe(true);
    left.post('after', nullFds(1));
    const echoed = [await next(left), await next(left)];
    expect(echoed.map(({ data, fds }) => [text(data), fds.length])).toEqual([
      ['on its way', 2],
      ['after', 1],
    ]);
    const ended = once(worker, 'message');
    await left.close();
    expect(await ended).toEqual([{ ended: true }]);
  });

  it('brings the messages that had arrived and were not handed out, in order', async () => {
    const [left, right] = channels();
    for (let index = 0; index < 5; index += 1) left.post(String(index), nullFds(1));
    await next(right);
    await turn(2);
    const token = structuredClone(detachForThread(right));
    const moved = ending(Channel.fromThread(token));
    left.post('5');
    const seen: [string, number][] = [];
    for await (const { data, fds } of moved) {
      seen.push([text(data), fds.length]);
      if (seen.length === 5) break;
    }
    expect(seen).toEqual([
      ['1', 1],
      ['2', 1],
      ['3', 1],
      ['4', 1],
      ['5', 0],
    ]);
  });

  it('brings what is queued', async () => {
    const [left, right] = channels();
    let count = 0;
    do count += 1;
    while (left.post(new Uint8Array(100_000)));
    const moved = ending(Channel.fromThread(detachForThread(left)));
    let seen = 0;
    right.on('message', () => {
      seen += 1;
    });
    await moved.send('last', [], { ack: true });
    expect(seen).toBe(count + 1);
  });

  it('stays where it is while it is in use', async () => {
    const [left, right] = channels();
    const controller = new AbortController();
    const waiting = right.receive({ signal: controller.signal });
    expect(codeOf(() => detachForThread(right))).toBe('ERR_FDPASS_BUSY');
    controller.abort();
    expect(await codeOfRejection(waiting)).toBe('ABORT_ERR');
    right.on('message', () => undefined);
    expect(codeOf(() => detachForThread(right))).toBe('ERR_FDPASS_BUSY');
    const sent = left.send('x', [], { ack: true });
    expect(codeOf(() => detachForThread(left))).toBe('ERR_FDPASS_BUSY');
    await sent;
    left.destroy();
    expect(codeOf(() => detachForThread(left))).toBe('ERR_FDPASS_CLOSED');
  });

  it('keeps its codec; one of one’s own is given again', async () => {
    const codec: Codec<string> = {
      id: 0x1234,
      encode: (value) => Buffer.from(value),
      decode: (bytes) => Buffer.from(bytes).toString().toUpperCase(),
    };
    const [left, right] = channelPair({ codec });
    ending(left);
    const token = detachForThread(right);
    expect(codeOf(() => Channel.fromThread(token))).toBe('ERR_FDPASS_CODEC');
    const moved = ending(Channel.fromThread(token, { codec }));
    left.post('loud');
    expect((await next(moved)).data).toBe('LOUD');
  });
});

describe('a token that nobody claims', () => {
  it('regression: is closed in time although the thread that made it has ended', async () => {
    const before = countDescriptors();
    const worker = new Worker(fixturePath('park-in-worker'), {
      workerData: { binary: nativeBinary, lifetime: 200 },
    });
    atEndOfTest(() => worker.terminate().then(() => undefined));
    const exited = once(worker, 'exit');
    await once(worker, 'message');
    await exited;
    expect(countDescriptors()).toBe(before + 2);
    const start = performance.now();
    while (countDescriptors() > before) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  it('is not closed before, and outlives the thread', async () => {
    const worker = new Worker(fixturePath('park-in-worker'), {
      workerData: { binary: nativeBinary, lifetime: 60_000 },
    });
    const exited = once(worker, 'exit');
    const [tokens] = (await once(worker, 'message')) as [[number, number]];
    await exited;
    const [left, right] = tokens.map((token) => closing(Fd.fromThread({ fdpass: 'fd', token }))) as [Fd, Fd];
    left.writeSync(Buffer.from('x'));
    expect(right.readSync(new Uint8Array(1))).toBe(1);
    expect(codeOf(() => Fd.fromThread({ fdpass: 'fd', token: tokens[0] }))).toBe('ERR_FDPASS_TOKEN');
  });
});

describe('worker threads with busy channels', () => {
  it.each(['terminate', 'exit', 'throw'])('end by %s and leave nothing', async (way) => {
    const before = countDescriptors();
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(Array.from({ length: 5 }, () => workerThatEnds(way)));
    }
    await turn(5);
    expect(countDescriptors()).toBe(before);
  });
});

/** A worker with busy channels, started and ended in a way; what it throws is expected. */
async function workerThatEnds(way: string): Promise<void> {
  // Node would close what `openSync` gave in the worker a second time at its end, when another thread may have the number.
  const options = { workerData: way, trackUnmanagedFds: false };
  const worker = new Worker(fixturePath('busy-channels-in-worker'), options);
  worker.on('error', (error) => expect(error.message).toBe('on purpose'));
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  await Promise.race([new Promise((resolve) => worker.once('message', resolve)), exited]);
  if (way === 'terminate') await worker.terminate();
  expect(await exited).toBe(way === 'exit' ? 0 : 1);
}
