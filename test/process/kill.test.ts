// Random kill -9 in the middle of transfers: nothing is left behind in the survivor. The leak check around every test is
// the assertion; 50 rounds here, 1,000 in `npm run soak`.
import { type Fd, FdpassError, receiveMessage, sendMessage } from 'fdpass';
import { expect, it } from 'vitest';
import { startFixture } from '../helpers/children.js';
import { nullFds, pair } from '../helpers/descriptors.js';
import { Random } from '../helpers/random.js';

const rounds = process.env.FDPASS_SOAK === undefined ? 50 : 1_000;
const SEED = 20_261_121;
const timeout = rounds * 1_000;

it(`a killed sender leaves nothing behind (${rounds / 2} times)`, { timeout }, async () => {
  const random = new Random(SEED);
  for (let round = 0; round < rounds / 2; round++) {
    const [ours, theirs] = pair();
    const child = startFixture('send-until-killed', [], { stdio: ['pipe', 'pipe', 'pipe', theirs.fd] });
    theirs.close();
    await child.firstLine();
    let left = random.below(200);
    for (; left > 0; left--) receiveMessage(ours)?.fds.close();
    await child.kill();
    const rest = drained(ours);
    expect(rest).toBeGreaterThanOrEqual(0);
    ours.close();
  }
});

it(`a killed receiver leaves nothing behind (${rounds / 2} times)`, { timeout }, async () => {
  const random = new Random(SEED + 1);
  const fds = nullFds(253);
  for (let round = 0; round < rounds / 2; round++) {
    const [ours, theirs] = pair();
    const child = startFixture('receive-until-killed', [], { stdio: ['pipe', 'pipe', 'pipe', theirs.fd] });
    theirs.close();
    await child.firstLine();
    sendSome(ours, fds, random);
    const killed = child.kill();
    sendSome(ours, fds, random);
    await killed;
    ours.close();
  }
});

/** Receives and closes everything until the end; how many messages that was. */
function drained(socket: Fd): number {
  for (let count = 0; ; count++) {
    const message = receiveMessage(socket, { timeout: 5_000 });
    if (message === undefined) return count;
    message.fds.close();
  }
}

/** Moves descriptors to a receiver that may die at any moment: what was not sent is still ours. */
function sendSome(socket: Fd, fds: readonly Fd[], random: Random): void {
  for (let left = random.below(100); left > 0; left--) {
    const moving = fds.slice(0, random.below(254)).map((fd) => fd.duplicate());
    try {
      sendMessage(socket, 'x'.repeat(1 + random.below(3000)), moving, { transfer: true, timeout: 100 });
      expect(moving.every(({ closed }) => closed)).toBe(true);
    } catch (error) {
      if (!(error instanceof FdpassError)) throw error;
      expect(['EPIPE', 'ECONNRESET', 'ERR_FDPASS_TIMEOUT', 'ETOOMANYREFS']).toContain(error.code);
      expect(moving.some(({ closed }) => closed)).toBe(false);
      for (const fd of moving) fd.close();
      if (error.code !== 'ERR_FDPASS_TIMEOUT') return;
    }
  }
}
