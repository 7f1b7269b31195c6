// kill -9 of either side at random moments: the survivor leaks nothing and knows how it ended.
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { Fd, spawnWithChannel } from 'fdpass';
import { expect, it } from 'vitest';
import { until } from '../helpers/channels.js';
import { fixturePath } from '../helpers/children.js';
import { closing } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';
import { Random } from '../helpers/random.js';

/** 50 in the usual run, 1,000 in `npm run soak`. */
const KILLS = process.env.FDPASS_SOAK === undefined ? 50 : 1_000;
const SEED = 20_251_121;
const AT_A_TIME = 5;

/** Two of many children: busy both ways, killed after so many messages and milliseconds. */
async function killOne(fds: readonly Fd[], messages: number, pause: number): Promise<unknown> {
  const { child, channel } = spawnWithChannel(process.execPath, [fixturePath('chatter')], {
    stdio: 'inherit',
  });
  const exited = once(child, 'exit');
  let seen = 0;
  let end: unknown;
  channel.on('message', (message) => {
    seen += 1;
    if (seen % 50 === 0) message.fds.take(0).close();
  });
  channel.on('end', () => {
    end = 'end';
  });
  channel.on('error', (error) => {
    end = (error as { code?: unknown }).code;
  });
  const closed = new Promise((resolve) => channel.once('close', () => resolve(undefined)));
  const talk = (): void => {
    if (channel.closed) return;
    try {
      while (channel.post(new Uint8Array(2_000), fds));
      channel.once('drain', talk);
    } catch (error) {
      expect(['EPIPE', 'ECONNRESET', 'ERR_FDPASS_PEER_GONE']).toContain((error as { code: string }).code);
    }
  };
  talk();
  await until(() => seen >= messages || channel.closed);
  expect(seen).toBeGreaterThanOrEqual(messages);
  await new Promise((resolve) => setTimeout(resolve, pause));
  child.kill('SIGKILL');
  await Promise.all([exited, closed]);
  return end;
}

it(
  `survives ${KILLS} peers that are killed`,
  async () => {
    const chance = new Random(SEED);
    const fds = Array.from({ length: 2 }, () => closing(Fd.adopt(openSync('/dev/null', 'r'))));
    const before = countDescriptors();
    const ends = new Set<unknown>();
    for (let kills = 0; kills < KILLS; kills += AT_A_TIME) {
      const group = Array.from({ length: AT_A_TIME }, () =>
        killOne(fds, chance.below(300), chance.below(10)),
      );
      for (const end of await Promise.all(group)) ends.add(end);
      await until(() => countDescriptors() === before);
    }
    expect([...ends].every((end) => end === 'ECONNRESET' || end === 'ERR_FDPASS_PEER_GONE')).toBe(true);
  },
  KILLS * 1_000,
);
