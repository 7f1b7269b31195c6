// Peers that do not keep to the protocol: written by hand on a raw socket, as a program in any language could.
import { spawnSync } from 'node:child_process';
import { type Channel, type Fd, sendMessage } from 'fdpass';
import { describe, expect, it } from 'vitest';
import {
  channelAndPeer,
  channels,
  codeOfRejection,
  ending,
  next,
  text,
  turn,
  until,
} from '../helpers/channels.js';
import { nullFds } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';
import { ACK, DATA, dataFrame, FIRST, frame, GOODBYE, NEXT, preamble } from '../helpers/wire.js';

/** Writes to the channel as its peer; what does not fit the socket is an error of the test. */
function write(peer: Fd, ...parts: Uint8Array[]): void {
  const bytes = Buffer.concat(parts);
  expect(peer.writeSync(bytes)).toBe(bytes.length);
}

/** The code by which the channel ends, after whatever it delivers. */
async function endOf(channel: Channel): Promise<unknown> {
  for (;;) {
    try {
      const message = await channel.receive();
      if (message === undefined) return 'end';
      message[Symbol.dispose]();
    } catch (error) {
      return (error as { code?: unknown }).code;
    }
  }
}

const lies: [string, Uint8Array[]][] = [
  ['another magic', [Buffer.from('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')]],
  ['one wrong byte in the magic', [preamble({ magic: Buffer.from('8966647061737308', 'hex') })]],
  ['frames before the preamble', [dataFrame(1, 'x'.repeat(40))]],
  ['a frame above the limit', [preamble(), frame(DATA, 1, '', { length: 0xffff_ffff })]],
  ['more descriptors in a frame than can be', [preamble(), dataFrame(1, 'x', { fds: 254 })]],
  ['descriptors that were not sent', [preamble(), dataFrame(1, 'x', { fds: 1 })]],
  ['an id that does not rise', [preamble(), dataFrame(5, 'x'), dataFrame(5, 'y')]],
  ['an id of zero', [preamble(), dataFrame(0, 'x')]],
  ['the middle of a message that never began', [preamble(), frame(NEXT, 1, 'x')]],
  ['a first part without its totals', [preamble(), frame(FIRST, 1, 'x')]],
  ['kind zero', [preamble(), frame(0, 1, 'x')]],
  ['an unknown kind that must be understood', [preamble(), frame(0x7f, 1, 'x', { flags: 0x80 })]],
  ['an acknowledgement of what was never sent', [preamble(), frame(ACK, 9, Buffer.alloc(20, 9))]],
  ['an acknowledgement of no whole entries', [preamble(), frame(ACK, 1, 'x')]],
  ['garbage after a valid message', [preamble(), dataFrame(1, 'x'), Buffer.alloc(64, 0xee)]],
];

describe('a peer that sends', () => {
  it.each(lies)('%s ends the channel with one coded error', async (_, parts) => {
    const [channel, peer] = channelAndPeer();
    const before = countDescriptors();
    write(peer, ...parts);
    const code = await endOf(channel);
    expect(code).toMatch(/^ERR_FDPASS_(PROTOCOL|VERSION)$/);
    await turn(2);
    // The channel's socket is closed, and nothing else was opened.
    expect(countDescriptors()).toBe(before - 1);
  });

  it('another major version is told as such', async () => {
    const [channel, peer] = channelAndPeer();
    write(peer, preamble({ major: 2 }));
    expect(await codeOfRejection(channel.receive())).toBe('ERR_FDPASS_VERSION');
  });

  it('a later minor version and unknown optional frames is understood', async () => {
    const [channel, peer] = channelAndPeer();
    sendMessage(peer, Buffer.concat([preamble({ minor: 7 })]));
    write(peer, frame(0x42, 0, 'an optional frame'), dataFrame(1, 'before'));
    sendMessage(peer, frame(0x43, 0, 'with descriptors', { fds: 3 }), nullFds(3));
    write(peer, dataFrame(2, 'after'), frame(GOODBYE, 0));
    expect(text((await next(channel)).data)).toBe('before');
    expect(text((await next(channel)).data)).toBe('after');
  });

  it('descriptors that no frame names ends the channel, and they are closed', async () => {
    const [channel, peer] = channelAndPeer();
    write(peer, preamble());
    sendMessage(peer, dataFrame(1, 'none promised'), nullFds(5));
    const before = countDescriptors();
    expect(await endOf(channel)).toBe('ERR_FDPASS_PROTOCOL');
    await turn(2);
    expect(countDescriptors()).toBe(before - 1);
  });

  it('fewer descriptors than it names ends the channel', async () => {
    const [channel, peer] = channelAndPeer();
    write(peer, preamble());
    sendMessage(peer, dataFrame(1, 'lies', { fds: 5 }), nullFds(3));
    expect(await endOf(channel)).toBe('ERR_FDPASS_PROTOCOL');
  });

  it('a header and then silence is given up after a time', async () => {
    const [channel, peer] = channelAndPeer({ stallTimeout: 50 });
    write(peer, preamble(), dataFrame(1, '', { length: 100 }));
    expect(await codeOfRejection(channel.receive())).toBe('ERR_FDPASS_TIMEOUT');
  });

  it('half a preamble and then silence is given up after a time', async () => {
    const [channel, peer] = channelAndPeer({ stallTimeout: 50 });
    write(peer, preamble().subarray(0, 11));
    expect(await codeOfRejection(channel.receive())).toBe('ERR_FDPASS_TIMEOUT');
  });

  it('nothing at all is left alone: it is idle', async () => {
    const [channel] = channelAndPeer({ stallTimeout: 20 });
    const controller = new AbortController();
    const received = channel.receive({ signal: controller.signal });
    setTimeout(() => controller.abort(), 80);
    expect(await codeOfRejection(received)).toBe('ABORT_ERR');
    expect(channel.closed).toBe(false);
  });

  it('a flood of descriptors is passed on in bounded portions', async () => {
    const [channel, peer] = channelAndPeer();
    const fds = nullFds(253);
    const before = countDescriptors();
    write(peer, preamble());
    let most = 0;
    let seen = 0;
    channel.on('message', (message) => {
      seen += message.fds.length;
      most = Math.max(most, countDescriptors() - before);
    });
    for (let id = 1; id <= 40; id += 1) {
      sendMessage(peer, dataFrame(id, 'x', { fds: 253 }), fds, { timeout: 5_000 });
      if (id % 4 === 0) await until(() => seen === id * 253);
    }
    await until(() => seen === 40 * 253);
    expect(most).toBeLessThanOrEqual(1_024 + 253);
  });

  it('above the limits gets damaged messages delivered, without their descriptors', async () => {
    const [channel, peer] = channelAndPeer({ accept: { maxFds: 3, maxMessageBytes: 100 } });
    write(peer, preamble());
    sendMessage(peer, dataFrame(1, 'too many', { fds: 4 }), nullFds(4));
    write(peer, dataFrame(2, 'x'.repeat(101)), dataFrame(3, 'fits'));
    const codes: unknown[] = [];
    for await (const message of channel) {
      codes.push(message.error?.code ?? text(message.data));
      if (message.error !== undefined) expect(() => message.fds).toThrow(message.error);
      if (codes.length === 3) break;
    }
    expect(codes).toEqual(['ERR_FDPASS_TOO_MANY_FDS', 'ERR_FDPASS_TOO_LARGE', 'fits']);
  });

  it('urgent data does not disturb the stream', async () => {
    const [channel, peer] = channelAndPeer();
    write(peer, preamble());
    const python = 'import socket,sys; s=socket.socket(fileno=0); s.send(b"!", socket.MSG_OOB)';
    const { status } = spawnSync('python3', ['-c', python], { stdio: [peer.fd, 'ignore', 'ignore'] });
    write(peer, dataFrame(1, 'after'));
    if (status === 0) {
      const outcome = await channel.receive().then(
        (message) => text(message?.data),
        (error: { code: string }) => error.code,
      );
      // Where the kernel delivers urgent data in line, it is a byte that is no frame.
      expect(['after', 'ERR_FDPASS_PROTOCOL']).toContain(outcome);
    } else expect(text((await next(channel)).data)).toBe('after');
  });
});

describe('a peer that stops', () => {
  const whole = Buffer.concat([preamble(), dataFrame(1, 'first'), dataFrame(2, 'second'), frame(GOODBYE, 0)]);

  it('at any byte is told apart from one that said goodbye', async () => {
    for (let length = 0; length <= whole.length; length += 1) {
      const [channel, peer] = channelAndPeer();
      if (length > 0) write(peer, whole.subarray(0, length));
      peer.close();
      expect(await endOf(channel)).toBe(length === whole.length ? 'end' : 'ERR_FDPASS_PEER_GONE');
      channel.destroy();
    }
  });

  it('acknowledging is noticed after a time', async () => {
    const [channel, peer] = channelAndPeer({ ackTimeout: 50 });
    write(peer, preamble());
    const sent = channel.send('x', [], { ack: true });
    expect(await codeOfRejection(sent)).toBe('ERR_FDPASS_TIMEOUT');
  });

  it('before it has said anything is noticed after a time, too', async () => {
    const [channel] = channelAndPeer({ ackTimeout: 50 });
    const sent = channel.send('x', [0], { ack: true });
    expect(await codeOfRejection(sent)).toBe('ERR_FDPASS_TIMEOUT');
  });
});

describe('other channels', () => {
  it('do not notice', async () => {
    const [left, right] = channels();
    const [channel, peer] = channelAndPeer();
    write(peer, Buffer.alloc(64, 1));
    left.post('one', nullFds(2));
    expect(await endOf(ending(channel))).toBe('ERR_FDPASS_PROTOCOL');
    left.post('two', nullFds(2));
    expect([text((await next(right)).data), text((await next(right)).data)]).toEqual(['one', 'two']);
  });
});
