// What went wrong with workers and managers once, and must not again. Alone in the run: it starts processes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Channel, socketPair } from 'fdpass';
import type { Manager } from 'fdpass/prefork';
import { expect, it } from 'vitest';
import { ending, until } from '../helpers/channels.js';
import { fixturePath, startProgram } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { codeOf } from '../helpers/descriptors.js';
import { request } from '../helpers/http-clients.js';
import { startManager } from '../helpers/managers.js';

/** What the worker tells next. */
async function told(manager: Manager): Promise<string[]> {
  const [data] = (await once(manager, 'message')) as [Uint8Array];
  return JSON.parse(Buffer.from(data).toString()) as string[];
}

it('a message to nobody, and one that is no bytes, is refused: they went to the manager, and empty', async () => {
  const { manager } = await startManager({ worker: fixturePath('prefork-misused'), workers: 1 });
  const answer = told(manager);
  manager.send(0, 'go');
  expect(new Set(await answer)).toEqual(new Set(['ERR_FDPASS_INVALID_ARGUMENT']));
  expect(codeOf(() => manager.send(0, 5 as never))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
});

it('what a worker and a manager cannot do is said by code, value and remedy', async () => {
  const { manager } = await startManager({ worker: fixturePath('prefork-misused'), workers: 1 });
  const answer = told(manager);
  manager.send(0, 'words');
  const load = 'as the load: give a number that can be compared';
  const socket = 'it is not of a manager. Give a socket that a server of serve() got';
  expect(await answer).toEqual([
    `ERR_FDPASS_INVALID_ARGUMENT Cannot report 'x' ${load}`,
    `ERR_FDPASS_INVALID_ARGUMENT Cannot report NaN ${load}`,
    `ERR_FDPASS_INVALID_ARGUMENT Cannot report undefined ${load}`,
    `ERR_FDPASS_NOT_SENDABLE Cannot pass on undefined: ${socket}`,
    `ERR_FDPASS_NOT_SENDABLE Cannot pass on an object (Object): ${socket}`,
    'EBADF Cannot send the descriptor 9999: it is not open. Send it before it is closed',
  ]);
  const refuses = (to: unknown, code: string, message: string) =>
    expect(() => manager.send(to as number, 'x', [0, 9999])).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  refuses(
    -1,
    'ERR_FDPASS_INVALID_ARGUMENT',
    'Cannot send to -1: give the index of a worker, an integer from 0 to 1023',
  );
  refuses('all', 'ERR_FDPASS_INVALID_ARGUMENT', "Cannot send to 'all': give the index of a worker");
  refuses(1, 'ERR_FDPASS_PEER_GONE', 'Cannot send to worker 1: there are 1. Give an index below that');
  refuses(0, 'EBADF', 'Cannot send the descriptor 9999: it is not open');
  for (const options of [5, null, 'now'])
    await expect(manager.stop(options as never)).rejects.toMatchObject({
      code: 'ERR_FDPASS_INVALID_ARGUMENT',
      message: expect.stringContaining('Cannot stop: options cannot be'),
    });
  expect(manager.stats().workers[0]?.state).toBe('ready');
  await manager.stop();
  await expect(manager.reload()).rejects.toThrow('Cannot reload: the manager is stopped. Make a new one');
});

it('admit that answers by a promise admits nobody, and that is told once: a promise was taken for a yes', async () => {
  const thrown: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error));
  atEndOfTest(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  const { manager, port } = await startManager({ workers: 1, admit: (async () => true) as never });
  expect((await request(port)).outcome).not.toBe('ok');
  expect((await request(port)).outcome).not.toBe('ok');
  expect(manager.stats().refused).toBe(2);
  expect(thrown).toEqual([
    expect.objectContaining({
      code: 'ERR_FDPASS_INVALID_ARGUMENT',
      message: expect.stringContaining('Cannot admit by a promise'),
    }),
  ]);
});

it('the descriptor of a connection is owned once', async () => {
  const { manager, port } = await startManager({ worker: fixturePath('prefork-misused'), workers: 1 });
  const answer = told(manager);
  const client = connect(port, '127.0.0.1');
  client.resume();
  expect(await answer).toEqual(['ERR_FDPASS_BAD_FD']);
  await once(client, 'close');
});

it('stop() with a time that no timer can have waits, and does nothing with one that is none', async () => {
  const { manager, port } = await startManager({ workers: 1 });
  await expect(manager.stop({ timeout: Number.NaN })).rejects.toThrow(/timeout is NaN/);
  const answer = request(port, '/?delay=400');
  await until(() => manager.stats().workers[0]?.active === 1);
  await manager.stop({ timeout: Number.POSITIVE_INFINITY });
  expect((await answer).outcome).toBe('ok');
});

it('a wall clock that jumps while a worker finishes cuts no request: its time was over', async () => {
  const jumps = 'let hours = 0; Date.now = () => 3_600_000 * hours++;';
  const execArgv = ['--import', `data:text/javascript,${jumps}`];
  const { manager, port } = await startManager({ workers: 1, execArgv });
  const answer = request(port, '/?delay=300');
  await until(() => manager.stats().workers[0]?.active === 1);
  await manager.stop();
  expect((await answer).outcome).toBe('ok');
});

it.each([
  ['', false],
  [' that it had told it was through', true],
])('a worker with timers ends with its manager%s', async (_what, drained) => {
  const [here, there] = socketPair();
  const child = spawn(process.execPath, [fixturePath('prefork-misused')], {
    stdio: ['ignore', 'inherit', 'inherit', there.fd],
    env: {
      ...process.env,
      FDPASS_CHANNEL_FD: '3',
      FDPASS_WORKER: JSON.stringify({ index: 0, strategy: 'push', listeners: ['0'] }),
    },
  });
  atEndOfTest(() => void child.kill('SIGKILL'));
  there.close();
  const channel = ending(Channel.from(here));
  const kind = async (): Promise<number | undefined> => (await channel.receive())?.data[0];
  expect(await kind()).toBe(0x81);
  if (drained) {
    await channel.send(Uint8Array.of(4, 0, 0, 0, 232, 3, 0, 0));
    while ((await kind()) !== 0x86);
  }
  channel.destroy();
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it('a message that lost its descriptors at a limit says so, to the manager and to another worker', async () => {
  const limited = `ulimit -n 256; exec "${process.execPath}" "${fixturePath('prefork-message-at-limit')}"`;
  const { code, stdout, stderr } = await startProgram('sh', ['-c', limited]).exited;
  expect([code, stderr]).toEqual([0, '']);
  expect((JSON.parse(stdout) as string[]).sort()).toEqual([
    'one 0 0 ERR_FDPASS_TRUNCATED',
    'routed: 0 ERR_FDPASS_WITHDRAWN 0 1 undefined',
  ]);
});

it.skipIf(process.platform !== 'linux')(
  'a manager that cannot scale for want of descriptors keeps no more of them with each attempt (kernel: Linux)',
  async () => {
    const limited = `ulimit -n 100; exec "${process.execPath}" "${fixturePath('prefork-scale-at-limit')}"`;
    const { code, stdout, stderr } = await startProgram('sh', ['-c', limited]).exited;
    expect([code, stderr]).toEqual([0, '']);
    const { codes, more } = JSON.parse(stdout) as { codes: string[]; more: number };
    expect(codes[0]).toBe('EMFILE');
    // Two listening sockets and a channel of the second worker: what one attempt begins the next one uses.
    expect(more).toBeLessThanOrEqual(3);
  },
);
