/** The leak check: which descriptors are open, compared by number, kind and inode, not only by count. */
import { fstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';

const folder = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd';

/** Given to descriptors that are closed asynchronously: most tests need none, a closing socket a turn or two. */
const SETTLE_MS = 1_000;

interface OpenDescriptor {
  /** Kind, device and inode: equal for the same open object, whatever its path is now. */
  readonly identity: string;
  /** For people: what the number leads to. */
  readonly text: string;
}

/** Every open descriptor of this process by its number. */
export type OpenDescriptors = ReadonlyMap<number, OpenDescriptor>;

/** A look at the open descriptors, without the one that looking takes. */
export function openDescriptors(): OpenDescriptors {
  const found = new Map<number, OpenDescriptor>();
  for (const name of readdirSync(folder)) {
    const descriptor = describe(Number(name));
    if (descriptor !== undefined) found.set(Number(name), descriptor);
  }
  return found;
}

/** How many descriptors are open. */
export function countDescriptors(): number {
  return openDescriptors().size;
}

/**
 * Waits until the same descriptors are open as `before`, for a bounded number of turns of the event loop: sockets and the
 * thread pool close asynchronously.
 *
 * @throws Error that lists what was leaked, wrongly closed or exchanged
 */
export async function assertSameDescriptors(
  before: OpenDescriptors,
  settleMs: number = SETTLE_MS,
): Promise<void> {
  let changes = compareDescriptors(before, openDescriptors());
  for (const end = Date.now() + settleMs; changes.length > 0 && Date.now() < end; ) {
    await turnOfTheLoop();
    changes = compareDescriptors(before, openDescriptors());
  }
  if (changes.length > 0)
    throw new Error(`The test did not leave descriptors as it found them:\n${changes.join('\n')}`);
}

/** One line per descriptor that is new, gone or another one. */
export function compareDescriptors(before: OpenDescriptors, after: OpenDescriptors): string[] {
  const changes: string[] = [];
  for (const [fd, now] of after) {
    if (!before.has(fd)) changes.push(`  leaked: ${fd} -> ${now.text}`);
  }
  for (const [fd, then] of before) {
    const now = after.get(fd);
    if (now === undefined) changes.push(`  wrongly closed: ${fd} -> ${then.text}`);
    else if (now.identity !== then.identity)
      changes.push(`  exchanged: ${fd} -> ${then.text}, now ${now.text}`);
  }
  return changes;
}

/** Has the runtime open what it opens on first use and keeps for good (libuv's signal pipe). */
export function openLazyDescriptors(): void {
  const listener = (): void => {};
  process.on('SIGWINCH', listener);
  process.off('SIGWINCH', listener);
}

function describe(fd: number): OpenDescriptor | undefined {
  try {
    const stats = fstatSync(fd);
    const text = process.platform === 'linux' ? readlinkSync(`${folder}/${fd}`) : kindOf(stats);
    return { identity: `${kindOf(stats)} ${anonymousKind(text)} ${stats.dev}:${stats.ino}`, text };
  } catch {
    // Closed between the listing and the look: the listing's own descriptor is always one of these.
    return undefined;
  }
}

/** Objects without an inode of their own (eventfd, epoll, pidfd on older kernels) differ by this name only. */
function anonymousKind(link: string): string {
  return link.startsWith('anon_inode:') ? link : '';
}

function kindOf(stats: Stats): string {
  if (stats.isSocket()) return 'socket';
  if (stats.isFIFO()) return 'pipe';
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isCharacterDevice() ? 'device' : 'other';
}

/** One whole turn of the loop: timers, what is ready to read, and close callbacks. */
async function turnOfTheLoop(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setTimeout(resolve, 1));
}
