import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { Fd, FdpassError, receiveMessage, sendMessage } from 'fdpass';
import { describe, expect, it } from 'vitest';
import {
  closing,
  codeOf,
  fileFd,
  identity,
  nullFd,
  nullFds,
  pair,
  readAll,
  received,
  socketTypes,
} from './helpers/descriptors.js';
import { countDescriptors } from './helpers/leaks.js';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe.each(socketTypes)('a message over %s', (type) => {
  it.each([0, 1, 2, 16, 99, 252, 253])('carries %i descriptors', (count) => {
    const [left, right] = pair(type);
    const fds = nullFds(count);
    expect(sendMessage(left, 'x', fds)).toBe(1);
    const message = received(right);
    expect(message.fds.length).toBe(count);
    expect(message.fds.takeAll().map(closing).map(identity)).toEqual(fds.map(identity));
  });

  it('keeps bytes, order and boundaries of messages with descriptors', () => {
    const [left, right] = pair(type);
    const files = ['a', 'b', 'c'].map(fileFd);
    for (const [index, file] of files.entries()) sendMessage(left, `message ${index}`, [file]);
    for (const [index, content] of ['a', 'b', 'c'].entries()) {
      const message = received(right);
      expect(text(message.data)).toBe(`message ${index}`);
      expect(readAll(closing(message.fds.take(0)))).toBe(content);
    }
  });

  it('sends the same descriptor twice as two', () => {
    const [left, right] = pair(type);
    const file = fileFd('x');
    sendMessage(left, 'x', [file, file, file.fd]);
    const { fds } = received(right);
    expect(new Set([0, 1, 2].map((index) => fds.at(index).fd)).size).toBe(3);
  });

  it('sends a socket through itself', () => {
    const [left, right] = pair(type);
    sendMessage(left, 'x', [left, right]);
    expect(received(right).fds.length).toBe(2);
  });

  it('sends an FdList, a Set and a generator', () => {
    const [left, right] = pair(type);
    const fds = nullFds(3);
    function* each(): Generator<Fd> {
      yield* fds;
    }
    sendMessage(left, '1', new Set(fds));
    sendMessage(left, '2', each());
    const first = received(right);
    sendMessage(left, '3', first.fds);
    expect([first.fds.length, received(right).fds.length, received(right).fds.length]).toEqual([3, 3, 3]);
  });

  it('is refused with more than 253 descriptors, and nothing is sent', () => {
    const [left, right] = pair(type);
    const fds = new Array<number>(254).fill(0);
    expect(() => sendMessage(left, 'x', fds)).toThrow(/254 descriptors .* limit is 253/);
    expect(codeOf(() => sendMessage(left, 'x', fds))).toBe('ERR_FDPASS_TOO_MANY_FDS');
    expect(codeOf(() => receiveMessage(right, { timeout: 0 }))).toBe('EAGAIN');
  });

  it('is refused from an endless iterable too', () => {
    const [left] = pair(type);
    let given = 0;
    function* endless(): Generator<number> {
      for (;;) {
        given += 1;
        yield 0;
      }
    }
    expect(codeOf(() => sendMessage(left, 'x', endless()))).toBe('ERR_FDPASS_TOO_MANY_FDS');
    expect(codeOf(() => sendMessage(left, 'x', endless(), { transfer: true }))).toMatch(/TOO_MANY|TRANSFER/);
    expect(given).toBeLessThan(600);
  });

  it('waits as long as it is told, and not at all with 0', () => {
    const [, right] = pair(type);
    const within = expect.stringContaining('recvmsg did not finish within 5 ms.');
    expect(codeOf(() => receiveMessage(right, { timeout: 0 }))).toBe('EAGAIN');
    expect(() => receiveMessage(right, { timeout: 5 })).toThrow(
      expect.objectContaining({ code: 'ERR_FDPASS_TIMEOUT', syscall: 'recvmsg', message: within }),
    );
  });

  it('is not sent when there is no room in the time given, and its descriptors stay', () => {
    const [left] = pair(type);
    const fd = nullFd();
    const fill = (timeout: number): unknown => {
      for (let round = 0; round < 100_000; round++) {
        const code = codeOf(() => sendMessage(left, 'x'.repeat(4096), [], { timeout }));
        if (code !== 'nothing was thrown') return code;
      }
      return 'never full';
    };
    expect(fill(0)).toBe('EAGAIN');
    expect(codeOf(() => sendMessage(left, 'x'.repeat(4096), [fd], { timeout: 5, transfer: true }))).toBe(
      'ERR_FDPASS_TIMEOUT',
    );
    expect(fd.closed).toBe(false);
  });

  it('leaves everything with its owner when the peer is gone', () => {
    const [left, right] = pair(type);
    right.close();
    const fd = nullFd();
    const code = codeOf(() => sendMessage(left, 'x', [fd], { transfer: true }));
    expect(['EPIPE', 'ECONNREFUSED', 'ECONNRESET', 'ENOTCONN']).toContain(code);
    expect(fd.closed).toBe(false);
  });

  it('closes everything when it carries more descriptors than wanted', () => {
    const [left, right] = pair(type);
    sendMessage(left, 'hello', nullFds(5));
    const before = countDescriptors();
    expect(() => receiveMessage(right, { maxFds: 4 })).toThrow(
      expect.objectContaining({
        code: 'ERR_FDPASS_TRUNCATED',
        sent: 5,
        received: 5,
        data: new TextEncoder().encode('hello'),
      }),
    );
    expect(countDescriptors()).toBe(before);
  });

  it('delivers what was wanted of it when the caller says so', () => {
    const [left, right] = pair(type);
    const files = nullFds(5);
    sendMessage(left, 'x', files);
    const before = countDescriptors();
    const message = receiveMessage(right, { maxFds: 2, truncation: 'partial' });
    expect(message?.truncated).toEqual({ data: false, descriptors: 'surplus', sent: 5, received: 5 });
    expect(countDescriptors()).toBe(before + 2);
    message?.[Symbol.dispose]();
    expect(countDescriptors()).toBe(before);
  });

  it('is checked when the socket is a plain number too', () => {
    const [left, right] = pair(type);
    sendMessage(left.fd, 'x', [nullFd()]);
    const message = receiveMessage(right.fd);
    expect(message?.fds.length).toBe(1);
    message?.fds.close();
  });
});

describe('a stream', () => {
  it('ends with undefined, again and again', () => {
    const [left, right] = pair();
    sendMessage(left, 'last');
    left.close();
    expect(text(received(right).data)).toBe('last');
    expect(receiveMessage(right)).toBeUndefined();
    expect(receiveMessage(right)).toBeUndefined();
  });

  it('refuses descriptors with zero bytes: the kernel would drop them', () => {
    const [left] = pair();
    const fd = nullFd();
    expect(codeOf(() => sendMessage(left, '', [fd], { transfer: true }))).toBe('ERR_FDPASS_EMPTY_PAYLOAD');
    expect(codeOf(() => sendMessage(left, new Uint8Array(0), [fd]))).toBe('ERR_FDPASS_EMPTY_PAYLOAD');
    expect(fd.closed).toBe(false);
  });

  it('takes a part of the bytes when it does not wait, and the descriptors with the first', () => {
    const [left, right] = pair();
    const size = 8 * 1024 * 1024;
    const taken = sendMessage(left, new Uint8Array(size), [nullFd()], { timeout: 0 });
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(size);
    expect(received(right).fds.length).toBe(1);
  });
});

describe('the bytes of a message', () => {
  it('stay its own when they are looked at after hundreds of others', () => {
    const [left, right] = pair('datagram');
    const sent = Array.from({ length: 300 }, (_, n) => `${n}:`.padEnd(1 + ((n * 7) % 300), 'x'));
    const messages = sent.map((one) => {
      sendMessage(left, one);
      return received(right);
    });
    expect(messages.map(({ data }) => text(data))).toEqual(sent);
  });

  it.each([5, 256, 257, 5000])('%d of them are an array of their own, the same at each look', (length) => {
    const [left, right] = pair('datagram');
    sendMessage(left, 'a'.repeat(length));
    sendMessage(left, 'b'.repeat(length));
    const [first, second] = [received(right), received(right)];
    expect(first.data.buffer.byteLength).toBe(length);
    expect(first.data).toBe(first.data);
    first.data.fill(0);
    expect(text(second.data)).toBe('b'.repeat(length));
  });

  it('are shown by the console', () => {
    const [left, right] = pair();
    sendMessage(left, 'hi');
    const shown = inspect(received(right));
    expect(shown).toMatch(/data: Uint8Array\(2\) \[ 104, 105 \]/);
    // The array that short messages share has the bytes of others.
    expect(shown.match(/Uint8Array\(\d+\)/g)).toEqual(['Uint8Array(2)']);
  });
});

describe('a datagram socket', () => {
  it('has no end: an empty message is a message', () => {
    const [left, right] = pair('datagram');
    sendMessage(left, '');
    expect(receiveMessage(right)?.data).toEqual(new Uint8Array(0));
    sendMessage(left, '', [nullFd()]);
    expect(received(right).fds.length).toBe(1);
  });

  it('does not lose the rest of a long message in silence', () => {
    const [left, right] = pair('datagram');
    sendMessage(left, 'abcdef', [nullFd()]);
    const before = countDescriptors();
    expect(() => receiveMessage(right, { maxBytes: 3 })).toThrow(
      expect.objectContaining({
        code: 'ERR_FDPASS_TRUNCATED',
        message: expect.stringContaining('larger maxBytes'),
        data: new TextEncoder().encode('abc'),
      }),
    );
    expect(countDescriptors()).toBe(before);
    sendMessage(left, 'abcdef', [nullFd()]);
    const message = receiveMessage(right, { maxBytes: 3, truncation: 'partial' });
    expect(message?.truncated).toMatchObject({ data: true });
    message?.fds.close();
  });

  it('carries as much as it is given room for', () => {
    const [left, right] = pair('datagram');
    const size = 100_000;
    sendMessage(left, new Uint8Array(size).fill(7));
    const message = receiveMessage(right, { maxBytes: size });
    expect(message?.data).toEqual(new Uint8Array(size).fill(7));
  });
});

/** What is needed, what it is, and what to do. */
const NO_SOCKET = /expected a Unix domain socket, and it is not a socket.*give one/;

describe('wrong calls', () => {
  const [fd] = [0];
  it.each<[string, (socket: Fd) => unknown, string, RegExp]>([
    ['a file as socket', () => sendMessage(nullFd(), 'x'), 'ERR_FDPASS_KIND', NO_SOCKET],
    ['a file to receive from', () => receiveMessage(nullFd()), 'ERR_FDPASS_KIND', NO_SOCKET],
    ['a file as number', () => sendMessage(nullFd().fd, 'x'), 'ERR_FDPASS_KIND', NO_SOCKET],
    [
      'no socket',
      () => sendMessage(undefined as never, 'x'),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /^Cannot send on undefined: expected an Fd or the number of a socket/,
    ],
    ['a negative socket', () => receiveMessage(-1), 'ERR_FDPASS_BAD_FD', /-1.*2147483647/],
    [
      'a number that is not open',
      () => sendMessage(999_999, 'x'),
      'ERR_FDPASS_BAD_FD',
      /999999.*not open. Give/,
    ],
    [
      'a number that is not open, to receive from',
      () => receiveMessage(999_999),
      'ERR_FDPASS_BAD_FD',
      /999999/,
    ],
    [
      'no data',
      (s) => sendMessage(s, undefined as never),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /Uint8Array or a string/,
    ],
    ['an object as data', (s) => sendMessage(s, {} as never), 'ERR_FDPASS_INVALID_ARGUMENT', /an object/],
    [
      'one descriptor without brackets',
      (s) => sendMessage(s, 'x', fd as never),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /brackets/,
    ],
    [
      'null for descriptors',
      (s) => sendMessage(s, 'x', null as never),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /list/,
    ],
    ['a negative descriptor', (s) => sendMessage(s, 'x', [-1]), 'ERR_FDPASS_BAD_FD', /send -1/],
    ['half a descriptor', (s) => sendMessage(s, 'x', [0.5]), 'ERR_FDPASS_BAD_FD', /send 0.5/],
    ['NaN', (s) => sendMessage(s, 'x', [Number.NaN]), 'ERR_FDPASS_BAD_FD', /NaN/],
    ['2 ** 31', (s) => sendMessage(s, 'x', [2 ** 31]), 'ERR_FDPASS_BAD_FD', /2147483648/],
    [
      'a closed number among open ones',
      (s) => sendMessage(s, 'x', [0, 999_999]),
      'EBADF',
      /descriptor 999999/,
    ],
    [
      'nothing as descriptor',
      (s) => sendMessage(s, 'x', [undefined as never]),
      'ERR_FDPASS_NOT_SENDABLE',
      /undefined/,
    ],
    ['a string as descriptor', (s) => sendMessage(s, 'x', ['3' as never]), 'ERR_FDPASS_NOT_SENDABLE', /'3'/],
    ['a hole', (s) => sendMessage(s, 'x', new Array(1)), 'ERR_FDPASS_NOT_SENDABLE', /undefined/],
    [
      'a negative time',
      (s) => sendMessage(s, 'x', [], { timeout: -1 }),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /timeout is -1/,
    ],
    [
      'an endless time',
      (s) => receiveMessage(s, { timeout: Number.POSITIVE_INFINITY }),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /Infinity/,
    ],
    [
      'no room for bytes',
      (s) => receiveMessage(s, { maxBytes: 0 }),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /maxBytes is 0/,
    ],
    [
      'too much room',
      (s) => receiveMessage(s, { maxBytes: 2 ** 40 }),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /maxBytes/,
    ],
    [
      'more room for descriptors than there is',
      (s) => receiveMessage(s, { maxFds: 254 }),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /0 to 253/,
    ],
    [
      'a policy there is not',
      (s) => receiveMessage(s, { truncation: 'x' as never }),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /error, partial/,
    ],
    ...[null, 5, 'x', () => 0].flatMap((options): [string, (socket: Fd) => unknown, string, RegExp][] => [
      [
        `${options} as options of a send`,
        (s) => sendMessage(s, 'x', [], options as never),
        'ERR_FDPASS_INVALID_ARGUMENT',
        /Cannot send: options cannot be/,
      ],
      [
        `${options} as options of a receive`,
        (s) => receiveMessage(s, options as never),
        'ERR_FDPASS_INVALID_ARGUMENT',
        /Cannot receive: options cannot be/,
      ],
    ]),
    [
      'readAhead there is not',
      (s) => sendMessage(s, 'x', [], { readAhead: 'x' as never }),
      'ERR_FDPASS_INVALID_ARGUMENT',
      /refuse, send/,
    ],
  ])('%s', (_name, call, code, message) => {
    const [left] = pair();
    expect(() => call(left)).toThrow(FdpassError);
    expect(() => call(left)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('a TCP socket: Linux would drop the descriptors in silence', async () => {
    const server = createServer().listen(0);
    await new Promise((resolve) => server.once('listening', resolve));
    const tcp = closing(Fd.duplicate(server));
    expect(codeOf(() => sendMessage(tcp, 'x', [0]))).toBe('ERR_FDPASS_NOT_UNIX_SOCKET');
    expect(codeOf(() => receiveMessage(tcp))).toBe('ERR_FDPASS_NOT_UNIX_SOCKET');
    expect(() => receiveMessage(tcp)).toThrow(/not a Unix domain socket.* Use a Unix domain socket/);
    await new Promise((resolve) => server.close(resolve));
  });

  it('a closed socket, and the same number in another hand', () => {
    const [left] = pair();
    left.close();
    const other = openSync('/dev/null', 'r');
    expect(codeOf(() => sendMessage(left, 'x'))).toBe('ERR_FDPASS_FD_CLOSED');
    expect(codeOf(() => receiveMessage(left))).toBe('ERR_FDPASS_FD_CLOSED');
    closeSync(other);
  });

  it('an iterable that sends itself does not disturb the outer message', () => {
    const [left, right] = pair();
    const [first, second] = [fileFd('1'), fileFd('2')];
    const decoys = nullFds(3);
    function* nested(): Generator<Fd> {
      yield first;
      sendMessage(left, 'inner', decoys);
      yield second;
    }
    sendMessage(left, 'outer', nested());
    expect(received(right).fds.length).toBe(3);
    const { fds } = received(right);
    expect([fds.at(0), fds.at(1)].map(readAll)).toEqual(['1', '2']);
  });
});
