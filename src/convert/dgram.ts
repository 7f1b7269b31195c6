import type { Socket } from 'node:dgram';
import { calling } from '../errors.js';
import type { FdInfo } from '../inspect.js';
import { runtime } from '../runtime.js';
import { unsupportedHere, wrongKind } from './kind.js';

/** Opens a `dgram.Socket` on `fd`, which is its own from then on; nothing is moved when this throws. */
export function toDatagram(fd: number, info: FdInfo): Socket {
  if (info.kind !== 'udp') throw wrongKind('toDatagram', 'a UDP socket', info);
  if (info.peer !== undefined) {
    // Node cannot be told that the socket is connected, and then refuses to send on it.
    throw wrongKind('toDatagram', 'a UDP socket that is not connected to a peer', info);
  }
  if (runtime === 'deno') throw unsupportedHere('toDatagram', 'Use it from Node or Bun');
  // Loaded here and not by `import`: programs that convert nothing do not pay for it.
  const { createSocket } = process.getBuiltinModule('node:dgram');
  const socket = createSocket(info.local?.family === 'IPv6' ? 'udp6' : 'udp4');
  // Exclusive: in a cluster worker the number would be looked up in the primary process, where it is another file.
  calling(() => socket.bind({ fd, exclusive: true }));
  return socket;
}
