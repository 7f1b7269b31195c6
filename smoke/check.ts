/** The smoke program's own runner: it must not need more than what every runtime has. */
import { closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { Fd, type FdList } from 'fdpass';

/** Where this process finds its own descriptors. */
const DESCRIPTORS = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd';
/** A check that hangs is a failure, on whatever runtime. */
const CHECK_MS = 20_000;

const counts = { passed: 0, failed: 0, skipped: 0 };

/** Thrown by a check that this runtime or system cannot do. */
class Skip extends Error {}

/** Ends the current check as skipped, with the reason. */
export function skip(reason: string): never {
  throw new Skip(reason);
}

/** Runs one check. What it leaves open counts against it at the end of the program. */
export async function check(name: string, body: () => void | Promise<void>): Promise<void> {
  try {
    await bounded(body);
    counts.passed += 1;
  } catch (error) {
    if (error instanceof Skip || isUnsupported(error)) {
      counts.skipped += 1;
      console.log(`skipped: ${name}: ${(error as Error).message}`);
    } else {
      counts.failed += 1;
      console.log(`FAILED: ${name}:`, error);
    }
  }
}

async function bounded(body: () => void | Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${CHECK_MS} ms`)), CHECK_MS);
  });
  try {
    await Promise.race([body(), tooLong]);
  } finally {
    clearTimeout(timer);
  }
}

function isUnsupported(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ERR_FDPASS_UNSUPPORTED_RUNTIME';
}

/** Prints the sum, which the caller of the program reads. */
export function finish(): void {
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  // The program ends by itself: what keeps it alive is a bug, and is found by the caller's time limit.
  process.exitCode = counts.failed === 0 ? 0 : 1;
}

/** Fails the check unless both are the same (as JSON). */
export function same(actual: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is !== should) throw new Error(`it is ${is} and should be ${should}`);
}

/** The code of what `call` throws or rejects with. */
export async function codeOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'nothing was thrown';
}

/** `/dev/null`, opened so often. */
export function nullFds(count: number): Fd[] {
  return Array.from({ length: count }, () => Fd.adopt(openSync('/dev/null', 'r+')));
}

/** Closes all. */
export function closeAll(fds: Iterable<Fd> | FdList | undefined): void {
  for (const fd of fds ?? []) fd.close();
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return readdirSync(DESCRIPTORS).length;
}

/** How many sockets this process has open; other files the runtime opens when it likes (Deno: its caches). */
export function openSockets(): number {
  return readdirSync(DESCRIPTORS).filter((number) => isSocket(`${DESCRIPTORS}/${number}`)).length;
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch {
    // The folder's own, closed by now.
    return false;
  }
}

/** Whether nobody has `number` open. */
export function isClosed(number: number): boolean {
  try {
    closeSync(number);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EBADF';
  }
  return false;
}

/** Resolves when `condition` holds, looked at once a turn of the loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
