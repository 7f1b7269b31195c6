// Random messages over real sockets: every descriptor arrives with its message, in order, exactly once.
import { openSync } from 'node:fs';
import { Fd } from 'fdpass';
import { expect, it } from 'vitest';
import { channels, turn } from '../helpers/channels.js';
import { hasPython } from '../helpers/children.js';
import { closing, fileFd, identity } from '../helpers/descriptors.js';
import { Random } from '../helpers/random.js';

const SEED = Number(process.env.FDPASS_SEED ?? 20_251_121);
const ROUNDS = 4;
const MESSAGES = 60;

/** So many different files; the inode tells them apart. */
const FILES = 40;

interface Planned {
  readonly bytes: number;
  readonly mark: number;
  readonly files: readonly number[];
}

it.each(['listener', 'loop', 'receive'] as const)(
  'by %s, whatever the sizes and pauses',
  async (style) => {
    const files = Array.from({ length: FILES }, (_, index) => fileFd(`file ${index}`));
    const identities = files.map((file) => identity(file));
    for (let round = 0; round < ROUNDS; round += 1) {
      const chance = new Random(SEED + round);
      const plan = Array.from({ length: MESSAGES }, (): Planned => {
        const bytes =
          chance.of([0, 1, chance.below(200), chance.below(70_000), chance.below(1_000_000)]) ?? 0;
        const fds = chance.of([0, 0, 1, 2, chance.below(30), chance.below(260), chance.below(1_000)]) ?? 0;
        return {
          bytes,
          mark: chance.below(256),
          files: Array.from({ length: fds }, () => chance.below(FILES)),
        };
      });
      const [left, right] = channels();
      const sending = (async () => {
        for (const { bytes, mark, files: numbers } of plan) {
          const fds = numbers.map((index) => files[index] as Fd);
          const ack = chance.below(4) === 0;
          const sent = left.send(new Uint8Array(bytes).fill(mark), fds, { ack });
          if (chance.below(3) === 0) await sent;
          if (chance.below(5) === 0) await turn(chance.below(4));
        }
        await left.close();
      })();
      let index = 0;
      const check = (data: Uint8Array, fds: Iterable<Fd> & { readonly length: number }): void => {
        const planned = plan[index] as Planned;
        index += 1;
        expect(data.length).toBe(planned.bytes);
        expect(data.every((byte) => byte === planned.mark)).toBe(true);
        expect(fds.length).toBe(planned.files.length);
        let place = 0;
        for (const fd of fds) {
          // Looking at each of many thousands would be most of the test's time.
          if (place < 3 || place === fds.length - 1 || chance.below(20) === 0)
            expect(identity(fd)).toBe(identities[planned.files[place] as number]);
          fd.close();
          place += 1;
        }
      };
      if (style === 'listener') {
        right.on('message', ({ data, fds }) => check(data, fds));
        await new Promise((resolve) => right.once('end', () => resolve(undefined)));
      } else if (style === 'loop') {
        for await (const { data, fds } of right) {
          check(data, fds);
          if (chance.below(6) === 0) await turn(chance.below(3));
        }
      } else {
        for (let message = await right.receive(); message !== undefined; message = await right.receive())
          check(message.data, message.fds);
      }
      expect(index).toBe(MESSAGES);
      await Promise.all([sending, right.close()]);
    }
  },
  60_000,
);

// Node cannot set the size of a buffer.
it.skipIf(!hasPython())(
  'over a socket with tiny buffers (needs python3)',
  async () => {
    const { Channel, socketPair } = await import('fdpass');
    const { spawnSync } = await import('node:child_process');
    const [here, there] = socketPair();
    const shrink =
      'import socket,sys; s=socket.socket(fileno=0); s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)';
    expect(spawnSync('python3', ['-c', shrink], { stdio: [here.fd, 'ignore', 'inherit'] }).status).toBe(0);
    const [left, right] = [Channel.from(here), Channel.from(there)];
    const file = closing(Fd.adopt(openSync('/dev/null', 'r')));
    const chance = new Random(SEED);
    const sizes = Array.from({ length: 60 }, () => [chance.below(40_000), chance.below(300)] as const);
    const sending = Promise.all(
      sizes.map(([bytes, fds]) =>
        left.send(
          new Uint8Array(bytes),
          Array.from({ length: fds }, () => file),
        ),
      ),
    ).then(() => left.close());
    const seen: (readonly [number, number])[] = [];
    for await (const message of right) seen.push([message.data.length, message.fds.length]);
    expect(seen).toEqual(sizes);
    await Promise.all([sending, right.close()]);
  },
  30_000,
);
