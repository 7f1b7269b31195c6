/** Descriptors for tests, closed at the end of the test. */
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fd, type ReceivedMessage, receiveMessage, type SocketType, socketPair } from 'fdpass';
import { atEndOfTest } from './cleanup.js';
import { temporaryFolder } from './sockets.js';

/** The code path of macOS: really there, or the portable profile on Linux. */
export const portable: boolean = process.platform === 'darwin' || process.env.FDPASS_PORTABLE === '1';

/** The socket types that this system has. */
export const socketTypes: readonly SocketType[] = portable
  ? ['stream', 'datagram']
  : ['stream', 'datagram', 'seqpacket'];

/** Closes `thing` at the end of the test, if it is still open then. */
export function closing<T extends { close(): void }>(thing: T): T {
  atEndOfTest(() => thing.close());
  return thing;
}

/** Two connected sockets. */
export function pair(type: SocketType = 'stream'): [Fd, Fd] {
  const [left, right] = socketPair(type);
  return [closing(left), closing(right)];
}

/** `/dev/null`, opened. */
export function nullFd(): Fd {
  return closing(Fd.adopt(openSync('/dev/null', 'r+')));
}

/** As many different descriptors as asked for. */
export function nullFds(count: number): Fd[] {
  return Array.from({ length: count }, nullFd);
}

/** A file with `content`, opened to read and write. */
export function fileFd(content: string): Fd {
  const path = join(temporaryFolder(), 'file');
  writeFileSync(path, content);
  return closing(Fd.adopt(openSync(path, 'r+')));
}

/** Everything that can be read from the descriptor's position. */
export function readAll(fd: Fd): string {
  const parts: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(4096);
    const length = fd.readSync(into);
    if (length === 0) return Buffer.concat(parts).toString();
    parts.push(into.subarray(0, length));
  }
}

/** A message that must be there, its descriptors closed at the end of the test. */
export function received(socket: Fd): ReceivedMessage {
  const message = receiveMessage(socket, { timeout: 5_000 });
  if (message === undefined) throw new Error('The peer has closed');
  closing(message.fds);
  return message;
}

/** Which open file it is: the same for every copy of a descriptor. */
export function identity(fd: Fd): string {
  const { device, inode } = fd.describe();
  return `${device}:${inode}`;
}

/** The code of what `call` throws. */
export function codeOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'nothing was thrown';
}
