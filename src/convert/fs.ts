import type { Readable, Writable } from 'node:stream';
import { calling } from '../errors.js';
import type { FdInfo } from '../inspect.js';
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

/** Opens a readable stream on `fd`, which is its own from then on; nothing is moved when this throws. */
export function toReadStream(fd: number, info: FdInfo): Readable {
  if (info.access === 'write') throw wrongKind('toReadStream', 'a descriptor opened for reading', info);
  if (runtime === 'deno' && !isStream(info)) throw unsupportedHere('toReadStream', 'Use readSync()');
  if (FILES.has(info.kind)) return files().createReadStream('', { fd });
  if (info.kind === 'tty') return calling(() => new (terminals().ReadStream)(fd));
  if (isStream(info)) return openSocket(fd, info, {});
  throw wrongKind('toReadStream', 'a file, device, pipe, terminal or stream socket', info);
}

/** Opens a writable stream on `fd`, which is its own from then on; nothing is moved when this throws. */
export function toWriteStream(fd: number, info: FdInfo): Writable {
  if (info.access === 'read') throw wrongKind('toWriteStream', 'a descriptor opened for writing', info);
  if (runtime === 'deno' && !isStream(info)) throw unsupportedHere('toWriteStream', 'Use writeSync()');
  if (FILES.has(info.kind)) return files().createWriteStream('', { fd });
  if (info.kind === 'tty') return calling(() => new (terminals().WriteStream)(fd));
  if (isStream(info)) return openSocket(fd, info, {});
  throw wrongKind('toWriteStream', 'a file, device, pipe, terminal or stream socket', info);
}

/** Loaded when needed and not by `import`, which would load all streams: programs that convert nothing do not pay for it. */
function files(): typeof import('node:fs') {
  return process.getBuiltinModule('node:fs');
}

function terminals(): typeof import('node:tty') {
  return process.getBuiltinModule('node:tty');
}
