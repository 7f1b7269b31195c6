import { fstatSync } from 'node:fs';
import { type FdList, receiveMessage, sendMessage } from 'fdpass';
import { describe, expect, it } from 'vitest';
import {
  closing,
  codeOf,
  fileFd,
  identity,
  nullFds,
  pair,
  readAll,
  received,
} from './helpers/descriptors.js';
import { countDescriptors } from './helpers/leaks.js';

/** A list with as many files as asked for; file n has the text n. */
function list(count: number): FdList {
  const [left, right] = pair();
  const files = Array.from({ length: count }, (_, index) => fileFd(String(index)));
  sendMessage(left, 'x', files);
  for (const file of files) file.close();
  return received(right).fds;
}

describe('an FdList', () => {
  it('gives a look that is still its own', () => {
    const fds = list(2);
    const look = fds.at(1);
    expect(readAll(look)).toBe('1');
    expect(fds.at(1)).toBe(look);
    fds.close();
    expect(() => look.fd).toThrow('it was closed with its message');
  });

  it('gives what is taken to the taker', () => {
    const fds = list(3);
    const taken = closing(fds.take(1));
    fds.close();
    expect(readAll(taken)).toBe('1');
  });

  it('takes what was looked at: the same object', () => {
    const fds = list(1);
    const look = fds.at(0);
    expect(closing(fds.take(0))).toBe(look);
    fds.close();
    expect(look.closed).toBe(false);
  });

  it('takes by iterating, and leaves what the loop does not reach', () => {
    const before = countDescriptors();
    const fds = list(3);
    const [first] = fds;
    expect(fds.length).toBe(3);
    expect(first && readAll(first)).toBe('0');
    fds.close();
    expect(first?.closed).toBe(false);
    first?.close();
    expect(countDescriptors()).toBe(before + 2); // the two sockets of list()
  });

  it('takes all that is left, in order', () => {
    const fds = list(4);
    closing(fds.take(1));
    fds.at(2);
    expect(fds.takeAll().map(closing).map(readAll)).toEqual(['0', '2', '3']);
    expect(fds.takeAll()).toEqual([]);
  });

  it('closes everything that nobody took', () => {
    const before = countDescriptors();
    const fds = list(253);
    expect(countDescriptors()).toBe(before + 255);
    fds.close();
    fds.close();
    expect(countDescriptors()).toBe(before + 2);
  });

  it('closes itself at the end of a using block', () => {
    let number = -1;
    {
      using fds = list(1);
      number = fds.at(0).fd;
    }
    expect(() => fstatSync(number)).toThrow('EBADF');
  });

  it.each([-1, 2, 0.5, Number.NaN, '0'])('refuses the index %s', (index) => {
    const fds = list(2);
    expect(codeOf(() => fds.at(index as number))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(() => fds.take(index as number)).toThrow(/the message came with 2/);
  });

  it('says that a descriptor was taken before', () => {
    const fds = list(2);
    closing(fds.take(0));
    expect(codeOf(() => fds.take(0))).toBe('ERR_FDPASS_FD_TAKEN');
    expect(codeOf(() => fds.at(0))).toBe('ERR_FDPASS_FD_TAKEN');
  });

  it('says that it was closed', () => {
    const fds = list(1);
    const iterator = fds[Symbol.iterator]();
    fds.close();
    for (const use of [() => fds.at(0), () => fds.take(0), () => fds.takeAll(), () => iterator.next()])
      expect(codeOf(use)).toBe('ERR_FDPASS_FD_CLOSED');
  });

  it('keeps its numbers when later messages arrive', () => {
    const [left, right] = pair();
    const files = Array.from({ length: 20 }, (_, index) => fileFd(String(index)));
    const messages = files.map((file) => {
      sendMessage(left, 'x', [file]);
      return received(right);
    });
    for (const [index, message] of messages.entries())
      expect(identity(message.fds.at(0))).toBe(identity(files[index] as never));
  });

  it('is empty and harmless for a message without descriptors', () => {
    const [left, right] = pair();
    sendMessage(left, 'x');
    const message = received(right);
    message.fds.close();
    expect([message.fds.length, message.fds.takeAll()]).toEqual([0, []]);
    expect(codeOf(() => message.fds.at(0))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
  });

  it('is looked at, not taken, when it is sent on', () => {
    const [left, right] = pair();
    const fds = list(3);
    fds.at(1);
    sendMessage(left, 'x', fds);
    const forwarded = received(right).fds;
    expect([0, 1, 2].map((index) => identity(forwarded.at(index)))).toEqual(
      [0, 1, 2].map((index) => identity(fds.at(index))),
    );
    expect(fds.takeAll().map(closing)).toHaveLength(3);
  });

  it('moves as a whole', () => {
    const [left, right] = pair();
    const fds = list(3);
    const taken = closing(fds.take(0));
    const look = fds.at(1);
    sendMessage(left, 'x', fds, { transfer: true });
    expect(received(right).fds.length).toBe(2);
    expect(() => fds.at(2)).toThrow('the list was moved');
    expect(() => look.fd).toThrow('it was moved by a send');
    expect(taken.closed).toBe(false);
  });

  it('does not move in parts', () => {
    const [left] = pair();
    const fds = list(2);
    expect(codeOf(() => sendMessage(left, 'x', fds, { transfer: [fds.at(0)] }))).toBe(
      'ERR_FDPASS_INVALID_TRANSFER',
    );
    expect(fds.at(0).closed).toBe(false);
  });

  it('holds a full message whose numbers are not consecutive', () => {
    const [left, right] = pair();
    const many = nullFds(300);
    for (const [index, fd] of many.entries()) if (index % 3 === 0) fd.close();
    const before = countDescriptors();
    sendMessage(
      left,
      'x',
      many.filter(({ closed }) => !closed),
    );
    receiveMessage(right)?.fds.close();
    expect(countDescriptors()).toBe(before);
  });
});
