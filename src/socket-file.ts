import type { Stats } from 'node:fs';
import { type Name, pathName } from './address.js';
import { FdpassError, fromNative } from './errors.js';
import { type Fd, ownNumber } from './fd.js';
import { native } from './native.js';
import { PRESSURE } from './pressure.js';

/** How often the path may change hands between two looks before that is an error. */
const ATTEMPTS = 10;

/** A listening socket and the file it is reached by. */
export interface BoundFile {
  readonly listener: Fd;
  /** Removes the file, if it is still ours. */
  unlink(): void;
}

/**
 * Listens at a path. The socket listens under a temporary name first, so that the path leads to a working listener from
 * its first moment, and nobody takes it for a dead one.
 *
 * @throws {FdpassError} `EADDRINUSE` — a live server answers there, or it is no socket, which nothing replaces
 * @throws {FdpassError} `ERR_FDPASS_ADDRESS_TOO_LONG` — nobody could connect to it
 */
export function bindFile(where: Name, mode: number, backlog: number, replace: boolean): BoundFile {
  const path = where.text;
  checkPublic(where);
  // The working directory may be another one when the file is removed.
  const lasting = paths().resolve(path);
  const { temporary, listener } = listenBeside(where, mode, backlog);
  try {
    const own = files().lstatSync(temporary);
    if (replace) replaceSocket(temporary, path);
    else publish(temporary, where);
    return { listener, unlink: () => unlinkOwn(lasting, own) };
  } catch (error) {
    listener.close();
    unlinkIfThere(temporary);
    throw notListening(error, path);
  }
}

/** Listens under a temporary name. Another one is tried when somebody has it: a short one may meet that. */
function listenBeside(where: Name, mode: number, backlog: number): { temporary: string; listener: Fd } {
  for (let attempt = 1; ; attempt += 1) {
    const temporary = fittingName(where);
    const { kind, bytes } = pathName(temporary);
    try {
      return { temporary, listener: ownNumber(native.listenUnix(kind, bytes, mode, backlog)) };
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!isTaken) unlinkIfThere(temporary);
      if (!isTaken || attempt >= ATTEMPTS) throw notListening(error, where.text);
    }
  }
}

/** Gives the socket its public name, if nobody alive has it. */
function publish(temporary: string, where: Name): void {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (linked(temporary, where.text)) {
      unlinkIfThere(temporary);
      return;
    }
    const found = look(where.text);
    if (found === undefined) continue;
    if (!found.isSocket()) throw noSocket(where.text);
    if (isAlive(where)) break;
    removeDead(where.text, found);
  }
  throw inUse(where.text, 'a live server answers there. Use another path, or replace: true');
}

/** At once, a live server's path too; but what is no socket was never a server's, and may be somebody's file. */
function replaceSocket(temporary: string, path: string): void {
  const found = look(path);
  if (found !== undefined && !found.isSocket()) throw noSocket(path);
  files().renameSync(temporary, path);
}

/** A second name, and not `rename`, which would replace whatever is there. */
function linked(temporary: string, path: string): boolean {
  try {
    files().linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive({ kind, bytes }: Name): boolean {
  try {
    native.closeFd(native.connectUnix(kind, bytes));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // That says nothing about who listens.
    if (PRESSURE.has(code)) throw error;
    return code !== 'ECONNREFUSED' && code !== 'ENOENT';
  }
}

/** Takes the dead socket away under another name first: what came to the path since the look is put back. */
function removeDead(path: string, dead: Stats): void {
  const aside = temporaryName(path);
  try {
    files().renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (!isSame(files().lstatSync(aside), dead)) linked(aside, path);
  unlinkIfThere(aside);
}

/** Never throws: a listener that closes must close its descriptor all the same. */
function unlinkOwn(path: string, own: Stats): void {
  try {
    const found = look(path);
    if (found !== undefined && isSame(found, own)) unlinkIfThere(path);
  } catch {
    // The path leads nowhere any more, or may not be followed: what is there is not ours to remove.
  }
}

function look(path: string): Stats | undefined {
  return files().lstatSync(path, { throwIfNoEntry: false });
}

function isSame(left: Stats, right: Stats): boolean {
  return left.dev === right.dev && left.ino === right.ino;
}

function unlinkIfThere(path: string): void {
  try {
    files().unlinkSync(path);
  } catch {
    // Gone already, or in a folder that is.
  }
}

function noSocket(path: string): FdpassError {
  return inUse(path, 'what is there is no socket. Use another path, or remove it');
}

function inUse(path: string, why: string): FdpassError {
  return new FdpassError('EADDRINUSE', `Cannot listen at ${path}: ${why}`, { syscall: 'bind', path });
}

/** The kernel sees the temporary name only, which may be shorter than the public one. */
function checkPublic({ kind, bytes, text }: Name): void {
  try {
    native.checkAddress(kind, bytes);
  } catch (error) {
    throw notListening(error, text);
  }
}

/** What the kernel said, with the operation and the address. */
export function notListening(thrown: unknown, path: string, words: string = path): unknown {
  const error = fromNative(thrown);
  if (!(error instanceof FdpassError) || error.path === path) return error;
  const { code, message, errno, syscall } = error;
  return new FdpassError(code, `Cannot listen at ${words}: ${message}`, { errno, syscall, path });
}

/** A temporary name that a socket can have: where the usual one is too long, one as long as the public one, which fits. */
function fittingName({ kind, text }: Name): string {
  const name = temporaryName(text);
  try {
    native.checkAddress(kind, pathName(name).bytes);
    return name;
  } catch {
    const { basename, dirname, join } = paths();
    const length = Buffer.byteLength(basename(text));
    for (;;) {
      const short = random(length).toString('base64url').slice(0, length);
      if (short !== basename(text)) return join(dirname(text), short);
    }
  }
}

/** Beside `path`. */
function temporaryName(path: string): string {
  const { dirname, join } = paths();
  return join(dirname(path), `.${random(5).toString('hex')}`);
}

/** Loaded when needed and not by `import`: most programs listen nowhere, and would pay for it. */
function random(bytes: number): Buffer {
  return process.getBuiltinModule('node:crypto').randomBytes(bytes);
}

function paths(): typeof import('node:path') {
  return process.getBuiltinModule('node:path');
}

/** Loaded when needed and not by `import`: importing it by name loads all streams. */
function files(): typeof import('node:fs') {
  return process.getBuiltinModule('node:fs');
}
