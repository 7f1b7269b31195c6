import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Fd } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { closing, codeOf, fileFd, pair } from '../helpers/descriptors.js';

async function bound(type: 'udp4' | 'udp6' = 'udp4'): Promise<Socket> {
  const socket = createSocket(type).bind(0, type === 'udp4' ? '127.0.0.1' : '::1');
  await once(socket, 'listening');
  return socket;
}

async function close(...sockets: Socket[]): Promise<void> {
  for (const socket of sockets) {
    socket.close();
    await once(socket, 'close');
  }
}

describe('toDatagram', () => {
  it.each(['udp4', 'udp6'] as const)(
    'makes a dgram.Socket of a %s socket that receives and sends',
    async (type) => {
      const original = await bound(type);
      const { port, address } = original.address();
      const fd = Fd.duplicate(original);
      await close(original);
      const socket = fd.toDatagram();
      expect(fd.closed).toBe(true);
      const peer = await bound(type);
      peer.send('ping', port, address);
      const [data, from] = await once(socket, 'message');
      expect(String(data)).toBe('ping');
      socket.send('pong', from.port, from.address);
      expect(String((await once(peer, 'message'))[0])).toBe('pong');
      await close(socket, peer);
    },
  );

  it('refuses a connected one: Node could not send on it', async () => {
    const peer = await bound();
    const connected = createSocket('udp4');
    connected.connect(peer.address().port, '127.0.0.1');
    await once(connected, 'connect');
    const fd = closing(Fd.duplicate(connected));
    expect(codeOf(() => fd.toDatagram())).toBe('ERR_FDPASS_KIND');
    expect(() => fd.toDatagram()).toThrow(/not connected/);
    expect(fd.closed).toBe(false);
    await close(connected, peer);
  });

  it('refuses files, Unix sockets and TCP sockets, which stay with their owner', async () => {
    const server = createServer().listen(0);
    await once(server, 'listening');
    const tcp = closing(Fd.duplicate(server));
    for (const fd of [fileFd('x'), pair('datagram')[0], pair()[0], tcp]) {
      expect(codeOf(() => fd.toDatagram())).toBe('ERR_FDPASS_KIND');
      expect(fd.closed).toBe(false);
    }
    server.close();
  });
});
