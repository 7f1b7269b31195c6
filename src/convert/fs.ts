import type { Readable, Writable } from 'node:stream';
import { calling } from '../errors.js';
import type { FdInfo } from '../inspect.js';
import { native } from '../native.js';
import { runtime } from '../runtime.js';
import { unsupportedHere, wrongKind } from './kind.js';
import { isStream, openSocket } from './net.js';

/** Kinds whose reads never wait for a peer: the thread pool of `node:fs` does them. Bun's does those of pipes too. */
const FILES: ReadonlySet<FdInfo['kind']> = new Set([
  'file',
  'memfd',
  'device',
  ...(runtime === 'bun' ? (['pipe'] as const) : []),
]);

/** The standard streams stay open: other parts of the process use them by number. */
const LAST_STANDARD = 2;

/** Opens a readable stream on `fd`, which is its own from then on; nothing is moved when this throws. */
export function toReadStream(fd: number, info: FdInfo): Readable {
  if (info.access === 'write') throw wrongKind('toReadStream', 'a descriptor opened for reading', info);
  if (runtime === 'deno' && !isStream(info)) throw unsupportedHere('toReadStream', 'Use readSync()');
  if (FILES.has(info.kind)) return files().createReadStream('', { fd, ...ownClose() });
  if (info.kind === 'tty') return terminal(fd, () => new (terminals().ReadStream)(fd));
  if (isStream(info)) return openSocket(fd, info, {});
  throw wrongKind('toReadStream', 'a file, device, pipe, terminal or stream socket', info);
}

/** Opens a writable stream on `fd`, which is its own from then on; nothing is moved when this throws. */
export function toWriteStream(fd: number, info: FdInfo): Writable {
  if (info.access === 'read') throw wrongKind('toWriteStream', 'a descriptor opened for writing', info);
  if (runtime === 'deno' && !isStream(info)) throw unsupportedHere('toWriteStream', 'Use writeSync()');
  if (FILES.has(info.kind)) return files().createWriteStream('', { fd, ...ownClose() });
  if (info.kind === 'tty') return terminal(fd, () => new (terminals().WriteStream)(fd));
  if (isStream(info)) return openSocket(fd, info, {});
  throw wrongKind('toWriteStream', 'a file, device, pipe, terminal or stream socket', info);
}

/**
 * Whether what `operation` made closes its descriptor with the ledger's help. Streams of `node:fs` do in Node, which
 * closes sockets when a worker thread is terminated, but no numbers that it has not opened itself.
 */
export function staysInLedger(operation: string, info: FdInfo): boolean {
  const isFile = operation === 'toReadStream' || operation === 'toWriteStream';
  return isFile && runtime === 'node' && FILES.has(info.kind);
}

/** `node:fs` with a `close` that knows the ledger; Node's would warn in a worker thread of what it has not opened. */
function ownClose(): { fs?: typeof import('node:fs') } {
  if (runtime !== 'node') return {};
  const close = (fd: number, done: (error: Error | null) => void): void => {
    native.closeFd(fd);
    process.nextTick(done, null);
  };
  return { fs: Object.create(files(), { close: { value: close } }) };
}

/** The runtime opens a terminal once more, with a number of its own, and leaves the one that was given open. */
function terminal<Stream>(fd: number, open: () => Stream): Stream {
  const stream = calling(open);
  const own = (stream as { _handle?: { fd?: number } | null })._handle?.fd;
  if (fd > LAST_STANDARD && own !== undefined && own >= 0 && own !== fd) native.closeFd(fd);
  return stream;
}

/** Loaded when needed and not by `import`, which would load all streams: programs that convert nothing do not pay for it. */
function files(): typeof import('node:fs') {
  return process.getBuiltinModule('node:fs');
}

function terminals(): typeof import('node:tty') {
  return process.getBuiltinModule('node:tty');
}
