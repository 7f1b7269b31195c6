// What the event loop costs and bears. Alone: processor time, memory and descriptor limits are measured.
import { spawnWithChannel } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { ending } from '../helpers/channels.js';
import { fixturePath, startFixture } from '../helpers/children.js';
import { nullFds } from '../helpers/descriptors.js';

const onThread = process.env.FDPASS_ENGINE === 'thread';

/** What a fixture prints that has a channel to us. */
function withChannel(command: string, args: string[]) {
  const { child, channel } = spawnWithChannel(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  ending(channel as never);
  channel.on('error', () => undefined);
  let printed = '';
  child.stdout?.on('data', (data: Buffer) => {
    printed += data;
  });
  const exited = new Promise<{ code: unknown; printed: string }>((resolve) =>
    child.once('close', (code, signal) => resolve({ code: code ?? signal, printed })),
  );
  return { channel, exited };
}

describe('idle', () => {
  it('a thousand channels cost no thread and a few KB each, native memory included', async () => {
    const child = startFixture('engine', ['idle', '1000'], { execArgv: ['--expose-gc'] });
    const { threads, each } = JSON.parse(await child.succeeded()) as { threads: number; each: number };
    console.log(`an idle channel takes ${Math.round(each)} bytes (${onThread ? 'thread' : 'libuv'} engine)`);
    expect(threads).toBe(0);
    // About 3.5 KB. Resident memory comes in pages and the heap in steps: a tight bound would be a matter of luck, and a
    // buffer for each channel is far above this one.
    expect(each).toBeLessThan(16_384);
  });

  it('regression: a paused channel whose peer has hung up does not spin', async () => {
    const child = startFixture('engine', ['hung-up-while-paused']);
    expect(Number(await child.succeeded())).toBeLessThan(150);
  });
});

describe('under load', () => {
  it('a flood does not keep the loop from turning', async () => {
    const { channel, exited } = withChannel(process.execPath, [fixturePath('engine'), 'flooded-loop']);
    flood(channel);
    const { code, printed } = await exited;
    expect(code).toBe(0);
    expect(JSON.parse(printed).turns).toBeGreaterThan(5);
  });

  it('regression: timers do not wait longer and longer while channels are busy', async () => {
    const child = startFixture('engine', ['timers-under-load']);
    const counts = JSON.parse(await child.succeeded()) as number[];
    // Each descriptor was looked at as often as it had become ready meanwhile: 3,000 messages before the first timer,
    // 28,000 before the tenth.
    expect(Math.max(...counts.slice(5))).toBeLessThan(10_000);
  });

  it('a flooded channel that is not referenced does not keep the process alive', async () => {
    const { channel, exited } = withChannel(process.execPath, [fixturePath('engine'), 'unreferenced-flood']);
    flood(channel);
    expect((await exited).code).toBe(0);
  });

  it.each([600, 1024])(
    'a batch never exceeds what a limit of %i descriptors allows: 256 messages with 253 each',
    async (limit) => {
      const program = `ulimit -n ${limit}; exec "${process.execPath}" "${fixturePath('engine')}" batch-at-limit`;
      const { channel, exited } = withChannel('sh', ['-c', program]);
      const fds = nullFds(253);
      for (let index = 0; index < 256; index += 1) await channel.send('x', fds);
      await channel.close();
      expect(JSON.parse((await exited).printed)).toEqual({ whole: 256, damaged: 0, fds: 256 * 253 });
    },
  );

  it('regression: a loop does not read ahead more than a limit of 1,024 descriptors allows', async () => {
    const program = `ulimit -n 1024; exec "${process.execPath}" "${fixturePath('slow-loop-at-limit')}"`;
    const { channel, exited } = withChannel('sh', ['-c', program]);
    const fds = nullFds(100);
    for (let index = 0; index < 80; index += 1) await channel.send('x', fds);
    await channel.close();
    expect(JSON.parse((await exited).printed)).toEqual({ whole: 80, damaged: 0, fds: 8_000 });
  });
});

/** Sends as fast as the peer takes it. */
function flood(channel: {
  post(data: Uint8Array): boolean;
  once(name: 'drain', listener: () => void): unknown;
  closed: boolean;
}): void {
  const data = new Uint8Array(500);
  try {
    while (!channel.closed && channel.post(data));
    if (!channel.closed) channel.once('drain', () => flood(channel));
  } catch {
    // The peer is gone: that is what the test waits for.
  }
}
