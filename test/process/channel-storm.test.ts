// kill -9 of either side at random moments: the survivor leaks nothing and knows how it ended.
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { Fd, spawnWithChannel } from 'fdpass';
import { expect, it } from 'vitest';
import { until } from '../helpers/channels.js';
import { type Child, fixturePath, startFixture } from '../helpers/children.js';
import { closing, pair } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';
import { Random } from '../helpers/random.js';

/** 50 in the usual run, 1,000 in `npm run soak`: half of each kind. */
const KILLS = (process.env.FDPASS_SOAK === undefined ? 50 : 1_000) / 2;
const SEED = 20_251_121;
const AT_A_TIME = 5;

/** How a channel may see that its peer was killed. */
const KILLED = ['ECONNRESET', 'ERR_FDPASS_PEER_GONE'];

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
      expect(['EPIPE', ...KILLED]).toContain((error as { code: string }).code);
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
    for (let kills = 0; kills < KILLS; kills += AT_A_TIME) {
      const group = Array.from({ length: AT_A_TIME }, () =>
        killOne(fds, chance.below(300), chance.below(10)),
      );
      for (const end of await Promise.all(group)) expect(KILLED).toContain(end);
      await until(() => countDescriptors() === before);
    }
  },
  KILLS * 1_000,
);

/** Two children, connected: each begins busy, and one of them is killed. What the other says. */
async function killEither(chance: Random): Promise<unknown> {
  const busyAfter = String(1 + chance.below(200));
  const ends = pair();
  const sides = ends.map((end) =>
    startFixture('storm-side', [busyAfter], {
      env: { FDPASS_CHANNEL_FD: '3' },
      stdio: ['ignore', 'pipe', 'inherit', end.fd],
    }),
  ) as [Child, Child];
  for (const end of ends) end.close();
  const [victim, survivor] = chance.below(2) === 0 ? sides : (sides.toReversed() as [Child, Child]);
  const pause = chance.below(10);
  await Promise.all(sides.map((side) => side.firstLine()));
  await new Promise((resolve) => setTimeout(resolve, pause));
  await victim.kill();
  await survivor.succeeded();
  return JSON.parse(await survivor.line(1));
}

it(
  `leaves nothing behind in the survivor, whichever of two is killed, ${KILLS} times`,
  async () => {
    const chance = new Random(SEED + 1);
    for (let kills = 0; kills < KILLS; kills += AT_A_TIME) {
      const group = Array.from({ length: AT_A_TIME }, () => killEither(chance));
      for (const said of await Promise.all(group))
        expect(said).toEqual({ end: expect.toSatisfy((end) => KILLED.includes(end)), leaks: [] });
    }
  },
  KILLS * 2_000,
);
