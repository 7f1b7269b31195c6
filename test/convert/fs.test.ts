import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Fd } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { closing, codeOf, fileFd, pair } from '../helpers/descriptors.js';
import { temporaryFolder } from '../helpers/sockets.js';

async function textOf(stream: Readable): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part as Uint8Array);
  return Buffer.concat(parts).toString();
}

/** Both ends of a FIFO. */
function fifo(): [reader: Fd, writer: Fd] {
  const path = join(temporaryFolder(), 'fifo');
  execFileSync('mkfifo', [path]);
  const both = closing(Fd.adopt(openSync(path, 'r+'))); // so that opening one end does not wait for the other
  const ends: [Fd, Fd] = [closing(Fd.adopt(openSync(path, 'r'))), closing(Fd.adopt(openSync(path, 'w')))];
  both.close();
  return ends;
}

describe('toReadStream', () => {
  it('reads a file from its shared position', async () => {
    const file = fileFd('abcdef');
    file.readSync(new Uint8Array(2));
    expect(await textOf(file.toReadStream())).toBe('cdef');
    expect(file.closed).toBe(true);
  });

  it('reads a pipe to its end', async () => {
    const [reader, writer] = fifo();
    writer.writeSync('through the pipe');
    writer.close();
    expect(await textOf(reader.toReadStream())).toBe('through the pipe');
  });

  it('reads a stream socket', async () => {
    const [left, right] = pair();
    right.writeSync('x');
    right.close();
    expect(await textOf(left.toReadStream())).toBe('x');
  });

  it('refuses what is not opened for reading, and what cannot be streamed', () => {
    const writeOnly = closing(Fd.adopt(openSync(join(temporaryFolder(), 'file'), 'w')));
    const folder = closing(Fd.adopt(openSync('.', 'r')));
    for (const fd of [writeOnly, folder, pair('datagram')[0]]) {
      expect(codeOf(() => fd.toReadStream())).toBe('ERR_FDPASS_KIND');
      expect(fd.closed).toBe(false);
    }
    expect(() => writeOnly.toReadStream()).toThrow(/opened for reading/);
  });
});

describe('toWriteStream', () => {
  it('writes a file at its shared position', async () => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, 'abcdef');
    const file = Fd.adopt(openSync(path, 'r+'));
    file.readSync(new Uint8Array(2));
    const stream = file.toWriteStream();
    stream.end('XY');
    await finished(stream);
    await new Promise((resolve) => (stream.closed ? resolve(undefined) : stream.once('close', resolve)));
    expect(readFileSync(path, 'utf8')).toBe('abXYef');
  });

  it('writes a pipe', async () => {
    const [reader, writer] = fifo();
    const stream = writer.toWriteStream();
    stream.end('x');
    await once(stream, 'close');
    expect(await textOf(reader.toReadStream())).toBe('x');
  });

  it('refuses what is not opened for writing', () => {
    const readOnly = closing(Fd.adopt(openSync(import.meta.filename, 'r')));
    expect(codeOf(() => readOnly.toWriteStream())).toBe('ERR_FDPASS_KIND');
    expect(readOnly.closed).toBe(false);
  });
});

describe('a terminal', () => {
  // `script` of util-linux makes the terminal; macOS has one with other options.
  it.runIf(process.platform === 'linux')('becomes a tty stream', async () => {
    const program = join(process.cwd(), 'build/ts/test/fixtures/print-to-terminal.js');
    const child = spawn('script', ['-qec', `${process.execPath} ${program}`, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    expect(await textOf(child.stdout)).toContain('tty true written');
  });
});
