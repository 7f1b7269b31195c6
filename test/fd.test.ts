import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Channel, Fd, FdList, FdpassError, Listener } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { closing, codeOf, fileFd, identity, nullFd, pair, readAll } from './helpers/descriptors.js';

describe('Fd.adopt', () => {
  it('owns the number it is given and closes it', () => {
    const number = openSync('/dev/null', 'r');
    const fd = Fd.adopt(number);
    expect(fd.closed).toBe(false);
    expect(fd.fd).toBe(number);
    fd.close();
    expect(() => fstatSync(number)).toThrow('EBADF');
  });

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, -(2 ** 40)])(
    'refuses the number %s',
    (number) => {
      expect(() => Fd.adopt(number)).toThrow(
        expect.objectContaining({
          code: 'ERR_FDPASS_BAD_FD',
          message: expect.stringMatching(/adopt .*2147483647/),
        }),
      );
    },
  );

  it('refuses a number that is not open, and says which', () => {
    const number = openSync('/dev/null', 'r');
    closeSync(number);
    expect(() => Fd.adopt(number)).toThrow(`Cannot adopt ${number}: it is not open`);
    expect(codeOf(() => Fd.adopt(number))).toBe('ERR_FDPASS_BAD_FD');
  });

  it('refuses what is no number', () => {
    expect(codeOf(() => Fd.adopt('1' as unknown as number))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(codeOf(() => Fd.adopt(undefined as unknown as number))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
  });

  it('refuses a number that another Fd owns: it would be closed twice', () => {
    const fd = nullFd();
    expect(() => Fd.adopt(fd.fd)).toThrow(
      expect.objectContaining({
        code: 'ERR_FDPASS_BAD_FD',
        message: expect.stringContaining('owns it already'),
      }),
    );
    expect(fd.closed).toBe(false);
  });

  it('takes a number again that was released', () => {
    const number = nullFd().release();
    expect(closing(Fd.adopt(number)).fd).toBe(number);
  });
});

it.each([Fd, FdList, Channel, Listener])('new $name is refused where TypeScript does not do it', (Class) => {
  const owner = nullFd();
  const make = (): unknown => Reflect.construct(Class, [owner.fd, 0, 1]);
  expect(codeOf(make)).toBe('ERR_FDPASS_INVALID_ARGUMENT');
});

describe('Fd.duplicate', () => {
  it('makes a copy of a number, which stays with its owner', () => {
    const number = openSync('/dev/null', 'r');
    const copy = closing(Fd.duplicate(number));
    expect(copy.fd).not.toBe(number);
    closeSync(number);
    expect(copy.describe().kind).toBe('device');
  });

  it('makes a copy of a FileHandle', async () => {
    const handle = await open(import.meta.filename);
    const copy = closing(Fd.duplicate(handle));
    await handle.close();
    expect(copy.describe().kind).toBe('file');
  });

  it('shares the offset with the original', () => {
    const file = fileFd('abcdef');
    const copy = closing(file.duplicate());
    file.readSync(new Uint8Array(3));
    expect(readAll(copy)).toBe('def');
  });

  it('makes a close-on-exec copy of an inheritable descriptor', () => {
    const copy = closing(Fd.duplicate(0));
    expect(copy.fd).toBeGreaterThan(2);
    const shown = spawnSync('ls', ['/dev/fd'], { encoding: 'utf8' }).stdout.split('\n');
    expect(shown).not.toContain(String(copy.fd));
  });

  it('names a number that is not open', () => {
    expect(codeOf(() => Fd.duplicate(999_999))).toBe('EBADF');
    expect(() => Fd.duplicate(999_999)).toThrow('Cannot duplicate 999999: it is not open');
  });

  it('refuses what has no descriptor', () => {
    expect(codeOf(() => Fd.duplicate({} as never))).toBe('ERR_FDPASS_NOT_SENDABLE');
    expect(codeOf(() => Fd.duplicate(null as never))).toBe('ERR_FDPASS_NOT_SENDABLE');
  });
});

describe('closing', () => {
  it('is idempotent and never touches the number again', () => {
    const fd = nullFd();
    const number = fd.fd;
    fd.close();
    const other = openSync('/dev/null', 'r');
    expect(other).toBe(number);
    fd.close();
    fd[Symbol.dispose]();
    expect(fstatSync(other).isCharacterDevice()).toBe(true);
    closeSync(other);
  });

  it('never throws, even when somebody else closed the number', () => {
    const fd = nullFd();
    closeSync(fd.fd);
    expect(() => fd.close()).not.toThrow();
  });

  it('happens at the end of a using block', () => {
    let number = -1;
    {
      using fd = nullFd();
      number = fd.fd;
    }
    expect(() => fstatSync(number)).toThrow('EBADF');
  });

  it.each<[string, (fd: Fd) => unknown]>([
    ['fd', (fd) => fd.fd],
    ['duplicate', (fd) => fd.duplicate()],
    ['Fd.duplicate', (fd) => Fd.duplicate(fd)],
    ['release', (fd) => fd.release()],
    ['readSync', (fd) => fd.readSync(new Uint8Array(1))],
    ['writeSync', (fd) => fd.writeSync('x')],
    ['statSync', (fd) => fd.statSync()],
    ['describe', (fd) => fd.describe()],
    ['toSocket', (fd) => fd.toSocket()],
    ['toServer', (fd) => fd.toServer()],
    ['toDatagram', (fd) => fd.toDatagram()],
    ['toReadStream', (fd) => fd.toReadStream()],
    ['toWriteStream', (fd) => fd.toWriteStream()],
  ])('makes %s throw ERR_FDPASS_FD_CLOSED', (_name, use) => {
    const fd = nullFd();
    fd.close();
    expect(() => use(fd)).toThrow(FdpassError);
    expect(codeOf(() => use(fd))).toBe('ERR_FDPASS_FD_CLOSED');
  });

  it('is told apart from a release in the message', () => {
    const closed = nullFd();
    closed.close();
    expect(() => closed.fd).toThrow('it was closed');
    const released = nullFd();
    closeSync(released.release());
    expect(released.closed).toBe(true);
    expect(() => released.fd).toThrow('release() gave its number away');
  });
});

describe('reading, writing, looking', () => {
  it('writes and reads at the shared position', () => {
    const file = fileFd('');
    expect(file.writeSync('hello')).toBe(5);
    expect(file.writeSync(new Uint8Array([33]))).toBe(1);
    expect(file.statSync().size).toBe(6);
    expect(file.readSync(new Uint8Array(8))).toBe(0);
  });

  it('refuses a buffer that is none', () => {
    const file = fileFd('');
    expect(codeOf(() => file.readSync('x' as never))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(codeOf(() => file.writeSync(5 as never))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
  });

  it('keeps errno and system call of what the kernel refuses', () => {
    const file = closing(Fd.adopt(openSync('/dev/null', 'r')));
    expect(() => file.writeSync('x')).toThrow(
      expect.objectContaining({ name: 'FdpassError', code: 'EBADF', errno: -9, syscall: 'write' }),
    );
    expect(() => file.writeSync('x')).toThrow(`Cannot write to ${file.fd}: it was not opened for that`);
  });

  it('says EAGAIN on an empty socket that does not wait', () => {
    const [left] = pair();
    const copy = left.duplicate();
    const socket = copy.toSocket(); // libuv sets O_NONBLOCK, which all copies share
    expect(codeOf(() => left.readSync(new Uint8Array(1)))).toBe('EAGAIN');
    socket.destroy();
  });

  it('describes device and inode: the same for every copy', () => {
    const file = fileFd('x');
    expect(identity(closing(file.duplicate()))).toBe(identity(file));
    expect(file.describe().inode).toBe(BigInt(file.statSync().ino));
  });
});
