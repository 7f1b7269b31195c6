// Channels at the descriptor limit. In children: the limit is of the whole process.
import { once } from 'node:events';
import { type Channel, connect, spawnWithChannel } from 'fdpass';
import { expect, it } from 'vitest';
import { codeOfRejection, ending, next, text } from '../helpers/channels.js';
import { fixturePath, startProgram } from '../helpers/children.js';
import { nullFds } from '../helpers/descriptors.js';
import { temporarySocketPath } from '../helpers/sockets.js';

/** Runs a fixture with room for `limit` descriptors. */
function limited(limit: number, fixture: string, args = ''): [string, string[]] {
  return ['sh', ['-c', `ulimit -n ${limit}; exec "${process.execPath}" "${fixturePath(fixture)}" ${args}`]];
}

it('a receiver at its limit gets that message damaged, all others whole, and an acknowledging sender is told', async () => {
  const { child, channel } = spawnWithChannel<string>(...limited(120, 'channel-at-limit'), {
    codec: 'json',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  ending(channel as Channel<unknown>);
  const printed: Buffer[] = [];
  child.stdout?.on('data', (data: Buffer) => printed.push(data));
  const fds = nullFds(200);
  await channel.send('fits', fds.slice(0, 10), { ack: true });
  expect(await codeOfRejection(channel.send('does not', fds, { ack: true }))).toBe(
    'ERR_FDPASS_PEER_TRUNCATED',
  );
  await channel.send('fits again', fds.slice(0, 20), { ack: true });
  channel.post('nor does this, unasked', fds);
  await channel.send('and this does', fds.slice(0, 5), { ack: true });
  const closed = once(child, 'close');
  await channel.close();
  await closed;
  const damaged = { code: 'ERR_FDPASS_TRUNCATED', sent: 200 };
  expect(JSON.parse(text(Buffer.concat(printed)))).toEqual([
    10,
    expect.objectContaining({ ...damaged, data: 'does not' }),
    20,
    expect.objectContaining({ ...damaged, data: 'nor does this, unasked' }),
    5,
  ]);
});

it('a listener at its limit neither spins nor loses a connection', async () => {
  const path = temporarySocketPath();
  const child = startProgram(...limited(100, 'listener-at-limit', path), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await child.firstLine();
  const first = ending(await connect(path));
  expect(await child.line(1)).toBe('full');
  const others = await Promise.all(Array.from({ length: 5 }, async () => ending(await connect(path))));
  const answers = others.map((channel) => next(channel));
  // Time in which a spinning listener would burn the processor.
  await new Promise((resolve) => setTimeout(resolve, 400));
  first.post('go on');
  const { pressure, busy } = JSON.parse(await child.line(2)) as { pressure: number; busy: number };
  expect(pressure).toBeGreaterThanOrEqual(1);
  expect(pressure).toBeLessThan(20);
  expect(busy).toBeLessThan(300);
  const seen = await Promise.all(answers);
  expect(seen.map(({ data }) => text(data)).sort()).toEqual(['2', '3', '4', '5', '6']);
  await child.succeeded();
});
