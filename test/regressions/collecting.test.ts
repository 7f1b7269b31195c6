// Code of the user that runs while the descriptors of a message are collected: iterables, getters, codecs.
import { type Fd, receiveMessage, type Sendable, sendMessage } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { channels, codeOfRejection, text } from '../helpers/channels.js';
import { closing, codeOf, fileFd, nullFd, pair, readAll, received } from '../helpers/descriptors.js';

describe('while the descriptors of a message are collected', () => {
  it('one that an iterable closes behind itself is refused: its number is the next one', () => {
    const [left, right] = pair();
    function* eachClosed(): Generator<Fd> {
      const first = fileFd('1');
      const number = first.fd;
      yield first;
      first.close();
      const second = fileFd('2');
      expect(second.fd).toBe(number);
      yield second;
    }
    expect(codeOf(() => sendMessage(left, 'x', eachClosed()))).toBe('ERR_FDPASS_FD_CLOSED');
    expect(codeOf(() => receiveMessage(right, { timeout: 0 }))).toBe('EAGAIN');
  });

  it('one that the getter of another closes is refused', () => {
    const [left, right] = pair();
    const first = fileFd('1');
    const closer = {
      get fd(): number {
        first.close();
        return closing(fileFd('2')).fd;
      },
    };
    expect(codeOf(() => sendMessage(left, 'x', [first, closer]))).toBe('ERR_FDPASS_FD_CLOSED');
    expect(codeOf(() => receiveMessage(right, { timeout: 0 }))).toBe('EAGAIN');
  });

  it('a socket that is closed meanwhile is refused: its number is another socket', () => {
    const [left] = pair();
    const others: Fd[] = [];
    function* closingTheSocket(): Generator<Fd> {
      left.close();
      others.push(...pair());
      yield nullFd();
    }
    expect(codeOf(() => sendMessage(left, 'secret', closingTheSocket()))).toBe('ERR_FDPASS_FD_CLOSED');
    for (const other of others) expect(codeOf(() => receiveMessage(other, { timeout: 0 }))).toBe('EAGAIN');
  });

  it('a socket that an option closes meanwhile is not received from', () => {
    const [left] = pair();
    const options = {
      get timeout(): number {
        left.close();
        const [other, peer] = pair();
        sendMessage(other, 'not yours');
        sendMessage(peer, 'not yours');
        return 0;
      },
    };
    expect(codeOf(() => receiveMessage(left, options))).toBe('ERR_FDPASS_FD_CLOSED');
  });

  it('a channel that is destroyed meanwhile is refused: its handle is another channel', async () => {
    const [left] = channels();
    const sent: Promise<unknown>[] = [];
    const others: ReturnType<typeof channels>[] = [];
    function* destroying(): Generator<Sendable> {
      left.destroy();
      others.push(channels());
      yield nullFd();
    }
    sent.push(codeOfRejection(left.send(new Uint8Array(1), destroying())));
    expect(await Promise.all(sent)).toEqual(['ERR_FDPASS_CLOSED']);
    for (const [one, other] of others) {
      await one.send(Buffer.from('mine'));
      expect(text((await other.receive())?.data)).toBe('mine');
    }
  });

  it('an array that grows meanwhile is sent as it was', async () => {
    const [left, right] = channels();
    const fds: Sendable[] = new Array(300).fill(0);
    let grown = false;
    fds[0] = {
      get fd(): number {
        if (!grown) fds.push(...new Array<number>(400).fill(0));
        grown = true;
        return 0;
      },
    };
    const coming = right.receive();
    await left.send(new Uint8Array(1), fds);
    const message = await coming;
    expect(message?.fds.length).toBe(300);
    message?.fds.close();
  });

  it('an array that changes meanwhile moves what was sent', () => {
    const [left, right] = pair();
    const [sent, other] = [fileFd('sent'), fileFd('other')];
    let reads = 0;
    const fds: Fd[] = [];
    Object.defineProperty(fds, 0, { get: () => (++reads === 1 ? sent : other), enumerable: true });
    sendMessage(left, 'x', fds, { transfer: true });
    expect([sent.closed, other.closed]).toEqual([true, false]);
    expect(readAll(received(right).fds.at(0))).toBe('sent');
  });
});
