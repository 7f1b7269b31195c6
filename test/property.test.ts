// Random sequences of everything that can be done with descriptors. Between the library's numbers stand bystanders, opened
// by node:fs as soon as a number is free: if a number is ever closed or used that is not its own, one of them is hit.
import { closeSync, fstatSync, openSync } from 'node:fs';
import { Fd, type FdList, receiveMessage, sendMessage } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { atEndOfTest } from './helpers/cleanup.js';
import { pair } from './helpers/descriptors.js';
import { Random } from './helpers/random.js';

const SEQUENCES = process.env.FDPASS_SOAK === undefined ? 100 : 5_000;
const STEPS = 80;

/** What a sequence works on. */
class World {
  readonly fds: Fd[] = [];
  readonly gone: Fd[] = [];
  readonly lists: FdList[] = [];
  /** Each with the file it must lead to: a number that was closed may be open again. */
  readonly #bystanders = new Map<number, string>();
  readonly #file = import.meta.filename;
  readonly #inode = fstatSync(0).ino;
  /** Datagrams keep their boundaries even without descriptors. */
  readonly #sockets = pair('datagram');
  #inFlight = 0;

  constructor() {
    atEndOfTest(() => this.end());
  }

  /** Takes a number that may just have become free, and leaves it open for a while. */
  bystander(): void {
    const number = openSync(this.#file, 'r');
    this.#bystanders.set(number, identityOf(number));
  }

  leave(random: Random): void {
    const number = random.of([...this.#bystanders.keys()]);
    if (number === undefined) return;
    this.#bystanders.delete(number);
    closeSync(number);
  }

  check(): void {
    for (const [number, file] of this.#bystanders)
      expect(identityOf(number), `bystander ${number}`).toBe(file);
    for (const fd of this.fds) if (!fd.closed) expect(fd.describe().kind).toBe('device');
    expect(fstatSync(0).ino).toBe(this.#inode);
  }

  send(items: Fd[] | FdList, transfer: boolean | Fd[]): void {
    if (this.#inFlight >= 8) return;
    this.sendNow(items, transfer);
    this.#inFlight += 1;
  }

  sendNow(items: Fd[] | FdList, transfer: boolean | Fd[]): void {
    sendMessage(this.#sockets[0], 'x', items, { transfer, timeout: 0 });
  }

  receive(): FdList | undefined {
    if (this.#inFlight === 0) return undefined;
    this.#inFlight -= 1;
    return receiveMessage(this.#sockets[1], { timeout: 0 })?.fds;
  }

  end(): void {
    for (const fd of [...this.fds, ...this.gone]) fd.close();
    for (const list of this.lists) list.close();
    for (const number of this.#bystanders.keys()) closeSync(number);
    this.#bystanders.clear();
  }
}

/** Which file a number leads to; throws when it is closed. */
function identityOf(number: number): string {
  const { dev, ino } = fstatSync(number);
  return `${dev}:${ino}`;
}

type Step = (world: World, random: Random) => void | Promise<void>;

const steps: Record<string, Step> = {
  adopt: ({ fds }) => void fds.push(Fd.adopt(openSync('/dev/null', 'r+'))),
  duplicate: ({ fds }, random) => {
    const fd = random.of(open(fds));
    if (fd !== undefined) fds.push(random.below(2) === 0 ? fd.duplicate() : Fd.duplicate(fd));
  },
  lend: (world, random) => world.send(some(world.fds, random), false),
  transferAll: (world, random) => world.send(some(world.fds, random), true),
  transferSome: (world, random) => {
    const items = some(world.fds, random);
    world.send(items, some(items, random));
  },
  refusedTransfer: (world, random) => {
    const items = some(world.fds, random);
    const [first] = items;
    if (first !== undefined) expect(() => world.sendNow([...items, first], true)).toThrow(/listed twice/);
  },
  receive: (world) => {
    const list = world.receive();
    if (list !== undefined) world.lists.push(list);
  },
  look: ({ lists }, random) => {
    const list = random.of(lists);
    ignoring(() => list?.at(random.below(list.length + 1)).fd);
  },
  take: ({ lists, fds }, random) => {
    const list = random.of(lists);
    if (list !== undefined) ignoring(() => fds.push(list.take(random.below(list.length + 1))));
  },
  takeFirst: ({ lists, fds }, random) => {
    ignoring(() => {
      const [first] = random.of(lists) ?? [];
      if (first !== undefined) fds.push(first);
    });
  },
  sendList: (world, random) => {
    const list = random.of(world.lists);
    if (list !== undefined) ignoring(() => world.send(list, random.below(2) === 0));
  },
  closeList: ({ lists }, random) => random.of(lists)?.close(),
  close: ({ fds }, random) => random.of(fds)?.close(),
  closeGone: ({ fds, gone }, random) => {
    for (const fd of fds) if (fd.closed) gone.push(fd);
    const fd = random.of(gone);
    fd?.close();
    fd?.[Symbol.dispose]();
  },
  useClosed: ({ fds }, random) => {
    const fd = random.of(fds.filter(({ closed }) => closed));
    if (fd !== undefined) expect(() => fd.writeSync('x')).toThrow(/no descriptor any more/);
  },
  release: ({ fds }, random) => {
    const fd = random.of(open(fds));
    if (fd !== undefined) closeSync(fd.release());
  },
  refusedConversion: ({ fds }, random) => {
    const fd = random.of(open(fds));
    if (fd !== undefined) expect(() => fd.toSocket()).toThrow(/needs a connected/);
  },
  convert: async ({ fds }, random) => {
    const stream = random.of(open(fds))?.toReadStream();
    if (stream === undefined) return;
    stream.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
  },
  bystander: (world) => world.bystander(),
  secondBystander: (world) => world.bystander(),
  leave: (world, random) => world.leave(random),
};

describe('whatever is done in whatever order', () => {
  const names = Object.keys(steps);

  it(`never closes a number it does not own (${SEQUENCES} sequences of ${STEPS})`, {
    timeout: 600_000,
  }, async () => {
    for (let seed = 1; seed <= SEQUENCES; seed++) {
      const random = new Random(seed);
      const world = new World();
      const done: string[] = [];
      for (let step = 0; step < STEPS; step++) {
        const name = random.of(names) ?? '';
        done.push(name);
        try {
          await steps[name]?.(world, random);
          world.check();
        } catch (error) {
          throw new Error(`seed ${seed}: ${done.join(', ')}`, { cause: error });
        }
      }
      world.end();
    }
  });
});

function open(fds: readonly Fd[]): Fd[] {
  return fds.filter(({ closed }) => !closed);
}

function some(fds: readonly Fd[], random: Random): Fd[] {
  return open(fds)
    .filter(() => random.below(3) === 0)
    .slice(0, 253);
}

/** Steps that may find the list closed, or the descriptor taken. */
function ignoring(step: () => unknown): void {
  try {
    step();
  } catch (error) {
    expect((error as { code?: string }).code).toMatch(/^ERR_FDPASS_(FD_TAKEN|FD_CLOSED|INVALID_ARGUMENT)$/);
  }
}
