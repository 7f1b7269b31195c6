import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { Fd } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { closing, fileFd, pair, socketTypes } from './helpers/descriptors.js';
import { temporaryFolder, temporarySocketPath } from './helpers/sockets.js';

describe('describe', () => {
  it.each([
    ['r', 'read'],
    ['a', 'write'],
    ['r+', 'read-write'],
  ])('tells how a file was opened (%s)', (flags, access) => {
    const fd = closing(Fd.adopt(openSync('/dev/null', flags)));
    expect(fd.describe()).toMatchObject({ kind: 'device', access, nonblocking: false });
  });

  it('tells files, folders and pipes apart', () => {
    const fifo = join(temporaryFolder(), 'fifo');
    spawnSync('mkfifo', [fifo]);
    expect(fileFd('x').describe().kind).toBe('file');
    expect(closing(Fd.adopt(openSync('.', 'r'))).describe().kind).toBe('directory');
    expect(closing(Fd.adopt(openSync(fifo, 'r+'))).describe().kind).toBe('pipe');
  });

  it.each(socketTypes)('tells a Unix %s socket', (socketType) => {
    const info = pair(socketType)[0].describe();
    expect(info).toMatchObject({ kind: 'unix', socketType, listening: false });
    expect(info).not.toHaveProperty('path');
  });

  it('tells the path of a Unix listener', async () => {
    const path = temporarySocketPath();
    const server = createServer().listen(path);
    await once(server, 'listening');
    expect(closing(Fd.duplicate(server)).describe()).toMatchObject({ kind: 'unix', listening: true, path });
    server.close();
  });

  it('tells the addresses of TCP and UDP sockets', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const client = connect(port, '127.0.0.1');
    await Promise.all([
      once(client, 'connect'),
      once(server, 'connection').then(([socket]) => socket.destroy()),
    ]);
    expect(closing(Fd.duplicate(server)).describe()).toMatchObject({
      kind: 'tcp',
      listening: true,
      local: { address: '127.0.0.1', port, family: 'IPv4' },
    });
    expect(closing(Fd.duplicate(client)).describe()).toMatchObject({
      kind: 'tcp',
      listening: false,
      peer: { address: '127.0.0.1', port },
    });
    client.destroy();
    server.close();
    const udp = createSocket('udp6').bind(0, '::1');
    await once(udp, 'listening');
    expect(closing(Fd.duplicate(udp)).describe()).toMatchObject({ kind: 'udp', local: { family: 'IPv6' } });
    udp.close();
  });

  // Linux tells these by procfs.
  it.runIf(process.platform === 'linux')('tells an epoll instance', () => {
    const found = Array.from({ length: 40 }, (_, number) => {
      try {
        using copy = Fd.duplicate(number);
        return copy.describe().kind;
      } catch {
        return undefined;
      }
    });
    expect(found).toContain('epoll'); // libuv's own
  });
});
