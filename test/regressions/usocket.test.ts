// The fifteen bugs of the most used predecessor, `usocket` 1.1.0, by their numbers in the list they were found in: each is
// a test of ours but 8, which is about giving descriptors back to a stream (`unshift`): there is no such call here.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import { channelPair, connect, Fd, listen, receiveMessage, sendMessage } from 'fdpass';
import { expect, it } from 'vitest';
import { codeOfRejection, ending, turn } from '../helpers/channels.js';
import { fixturePath } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import {
  codeOf,
  fileFd,
  nullFd,
  nullFds,
  pair,
  portable,
  readAll,
  received,
} from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';
import { temporarySocketPath } from '../helpers/sockets.js';

it('usocket 1: descriptors without bytes are an error, not a success without descriptors', () => {
  const [left] = pair();
  expect(codeOf(() => sendMessage(left, new Uint8Array(0), [nullFd()]))).toBe('ERR_FDPASS_EMPTY_PAYLOAD');
});

it('usocket 2: a send that finds no room keeps its descriptors, and the retry has them', () => {
  const [left, right] = pair();
  const fill = (): unknown => codeOf(() => sendMessage(left, 'x'.repeat(1000), [], { timeout: 0 }));
  while (fill() !== 'EAGAIN');
  const file = fileFd('kept');
  const send = (): number => sendMessage(left, 'y', [file], { transfer: true, timeout: 0 });
  expect(codeOf(send)).toBe(portable ? 'EMSGSIZE' : 'EAGAIN');
  expect(file.closed).toBe(false);

  for (let drained = false; !drained; ) {
    drained = codeOf(() => receiveMessage(right, { timeout: 0 })) === 'EAGAIN';
  }
  send();
  expect(readAll(received(right).fds.at(0))).toBe('kept');
});

it('usocket 3: what is left of a partial write goes without the descriptors', () => {
  const [left, right] = pair();
  const bytes = new Uint8Array(1 << 20);
  let sent = 0;
  let arrived = 0;
  let fds = nullFds(3);
  let length = 0;
  while (length < bytes.length) {
    if (sent < bytes.length) {
      sent += sendMessage(left, bytes.subarray(sent), fds, { timeout: 0 });
      fds = [];
    }
    const message = received(right);
    length += message.data.length;
    arrived += message.fds.length;
    message.fds.close();
  }
  expect([arrived, length]).toEqual([3, bytes.length]);
});

it('usocket 4: 100 descriptors in one message are 100 at the receiver', () => {
  const [left, right] = pair();
  sendMessage(left, 'x', nullFds(100));
  expect(received(right).fds.length).toBe(100);
});

it('usocket 4: descriptors that are not wanted are an error, not a shorter list', () => {
  const [left, right] = pair();
  sendMessage(left, 'x', nullFds(100));
  expect(codeOf(() => receiveMessage(right, { maxFds: 64 }))).toBe('ERR_FDPASS_TRUNCATED');
});

it('usocket 5: received descriptors and own sockets are not inherited by a child', () => {
  const [left, right] = pair();
  sendMessage(left, 'x', nullFds(3));
  const { fds } = received(right);
  const numbers = [left, right, fds.at(0), fds.at(1), fds.at(2)].map((fd) => String(fd.fd));
  const look = numbers.map((number) => `test -e /dev/fd/${number} && echo ${number}`).join('; ');
  expect(spawnSync('sh', ['-c', look], { encoding: 'utf8' }).stdout).toBe('');
});

it('usocket 6: a message that is closed closes what nobody took', () => {
  const [left, right] = pair();
  sendMessage(left, 'x', nullFds(10));
  const before = countDescriptors();
  const message = receiveMessage(right);
  expect(countDescriptors()).toBe(before + 10);
  message?.[Symbol.dispose]();
  expect(countDescriptors()).toBe(before);
});

it('usocket 6: descriptors in flight end with the socket they wait in', () => {
  const [left, right] = pair();
  const [reader, writer] = pair();
  sendMessage(left, 'x', [writer], {});
  writer.close();
  right.close(); // the only other copy was in its queue
  expect(receiveMessage(reader)).toBeUndefined();
});

it('usocket 7: it loads and works in a worker thread', async () => {
  const worker = new Worker(fixturePath('pass-in-worker'));
  const [answer] = await once(worker, 'message');
  expect(answer).toBe('passed');
  await worker.terminate();
});

it('usocket 9: who listens is told so', async () => {
  const path = temporarySocketPath();
  const listener = await listen(path, { backlog: 1 });
  atEndOfTest(() => listener.close());
  expect(statSync(path).isSocket()).toBe(true);
  ending(await connect(path));
});

it('usocket 10: the path of a live server is left alone', async () => {
  const path = temporarySocketPath();
  const server = createServer().listen(path);
  await once(server, 'listening');
  const { ino } = statSync(path);
  expect(await codeOfRejection(listen(path))).toBe('EADDRINUSE');
  expect(statSync(path).ino).toBe(ino);
  server.close();
  await once(server, 'close');
});

it('usocket 11: an option does not replace the others, the descriptor among them', async () => {
  const [left, right] = pair();
  const socket = left.toSocket({ allowHalfOpen: true });
  right.writeSync('x');
  expect(String((await once(socket, 'data'))[0])).toBe('x');
  socket.destroy();
  await once(socket, 'close');
});

// Abstract names are Linux's.
it.runIf(process.platform === 'linux')('usocket 11: an abstract name can be listened on, too', async () => {
  const name = `fdpass-usocket-${process.pid}`;
  const listener = await listen({ abstract: name });
  atEndOfTest(() => listener.close());
  ending(await connect({ abstract: name }));
});

it('usocket 11: descriptor 0 is a descriptor', () => {
  const [left, right] = pair();
  sendMessage(left, 'x', [0]);
  expect(received(right).fds.length).toBe(1);
  using copy = Fd.duplicate(0);
  expect(copy.closed).toBe(false);
});

it("usocket 12: errors of system calls have their errno and name (signals: the core's tests, interruption.rs)", () => {
  const [left, right] = pair();
  right.close();
  expect(() => sendMessage(left, 'x', [0])).toThrow(
    expect.objectContaining({ code: 'EPIPE', errno: -32, syscall: 'sendmsg' }),
  );
});

it('usocket 13: what is watched outlives the collector, and is let go when it is closed', async () => {
  const sockets = await (async () => {
    const [left, right] = channelPair();
    const arrived = new Promise((resolve) => right.once('message', resolve));
    for (let round = 0; round < 5; round++) {
      globalThis.gc?.();
      await turn();
    }
    left.post('still watched');
    await arrived;
    left.destroy();
    right.destroy();
    return [new WeakRef(left), new WeakRef(right)];
  })();
  for (let round = 0; round < 20 && sockets.some((socket) => socket.deref()); round++) {
    await turn(2);
    globalThis.gc?.();
  }
  expect(sockets.map((socket) => socket.deref())).toEqual([undefined, undefined]);
});

it('usocket 14: the number of descriptors is what arrived, whatever the control data claims', () => {
  const [left, right] = pair();
  for (const count of [253, 1, 64, 0, 65]) {
    sendMessage(left, 'x', nullFds(count));
    const message = received(right);
    expect(message.fds.length).toBe(count);
    message.fds.close();
  }
});

it('usocket 15: descriptors stay with the bytes they came with', () => {
  const [left, right] = pair();
  for (let round = 0; round < 50; round++) {
    const file = fileFd(String(round));
    sendMessage(left, String(round), [file], { transfer: true });
  }
  for (let round = 0; round < 50; round++) {
    const message = received(right);
    expect(new TextDecoder().decode(message.data)).toBe(String(round));
    expect(readAll(message.fds.at(0))).toBe(String(round));
    message.fds.close();
  }
});
