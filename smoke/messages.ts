/** One system call each: the synchronous messages, and the life of an `Fd`. */
import { openSync } from 'node:fs';
import { Fd, FdpassError, receiveMessage, sendMessage, socketPair } from 'fdpass';
import { check, closeAll, codeOf, nullFds, same } from './check.js';

export async function checkMessages(): Promise<void> {
  for (const type of ['stream', 'datagram'] as const) {
    for (const count of [0, 1, 253]) {
      await check(`a ${type} message with ${count} descriptors`, () => {
        const [left, right] = socketPair(type);
        const fds = nullFds(count);
        sendMessage(left, 'hello', fds);
        const message = receiveMessage(right);
        same(message?.fds.length, count);
        same(new TextDecoder().decode(message?.data), 'hello');
        const arrived = message?.fds.takeAll() ?? [];
        same(
          arrived.map((fd) => fd.describe().inode).filter((inode) => inode !== fds[0]?.describe().inode),
          [],
        );
        closeAll([left, right, ...fds, ...arrived]);
      });
    }
  }

  await check('a message that does not fit is an error with its bytes', () => {
    const [left, right] = socketPair('datagram');
    const fds = nullFds(3);
    sendMessage(left, 'three', fds);
    try {
      receiveMessage(right, { maxFds: 1 });
      throw new Error('it was received');
    } catch (error) {
      if (!(error instanceof FdpassError)) throw error;
      same(new TextDecoder().decode(error.data), 'three');
    }
    closeAll([left, right, ...fds]);
  });

  await check('transfer moves', () => {
    const [left, right] = socketPair();
    const [fd] = nullFds(1);
    sendMessage(left, 'x', fd ? [fd] : [], { transfer: true });
    same(fd?.closed, true);
    receiveMessage(right)?.fds.close();
    closeAll([left, right]);
  });

  await check('the end of a stream is no message, and an empty queue is EAGAIN', async () => {
    const [left, right] = socketPair();
    same(await codeOf(() => receiveMessage(right, { timeout: 0 })), 'EAGAIN');
    left.close();
    same(receiveMessage(right), undefined);
    right.close();
  });

  await check('regression: an adopted number of node:fs is not closed again by Deno', () => {
    // Closed by us, given again to another file: Deno, which remembers the first, would close that.
    for (let round = 0; round < 3; round += 1) {
      const fds = nullFds(2);
      same(
        fds.map((fd) => fd.describe().kind),
        ['device', 'device'],
      );
      closeAll(fds);
    }
  });

  await check('an Fd is adopted, duplicated, described, read, released and closed', async () => {
    const fd = Fd.adopt(openSync('/dev/zero', 'r'));
    same(fd.describe().kind, 'device');
    same(fd.readSync(new Uint8Array(3)), 3);
    const copy = fd.duplicate();
    fd.close();
    fd.close();
    same([fd.closed, copy.closed], [true, false]);
    same(await codeOf(() => fd.fd), 'ERR_FDPASS_FD_CLOSED');
    const number = copy.release();
    Fd.adopt(number)[Symbol.dispose]();
    same(await codeOf(() => Fd.adopt(-1)), 'ERR_FDPASS_BAD_FD');
  });
}
