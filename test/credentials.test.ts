import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Fd, peerCredentials } from 'fdpass';
import { expect, it } from 'vitest';
import { closing, codeOf, fileFd, pair, portable } from './helpers/descriptors.js';
import { temporarySocketPath } from './helpers/sockets.js';

it('names this process on a socket pair it made', () => {
  const [left] = pair();
  expect(peerCredentials(left)).toMatchObject({
    uid: process.geteuid?.(),
    gid: process.getegid?.(),
    source: 'socketpair',
  });
  expect(peerCredentials(left.fd)).toMatchObject({ source: 'socketpair' });
});

it('names the peer of a connection, at both ends', async () => {
  const path = temporarySocketPath();
  const server = createServer().listen(path);
  await once(server, 'listening');
  const client = connect(path);
  const [[accepted]] = (await Promise.all([once(server, 'connection'), once(client, 'connect')])) as [
    [Socket],
    unknown,
  ];
  for (const socket of [client, accepted]) {
    const fd = closing(Fd.duplicate(socket));
    expect(peerCredentials(fd)).toMatchObject({ uid: process.geteuid?.(), source: 'connect' });
    if (process.platform === 'linux') expect(peerCredentials(fd).pid).toBe(process.pid);
  }
  client.destroy();
  accepted.destroy();
  server.close();
});

// A process descriptor is Linux's (6.5 and later).
it.runIf(process.platform === 'linux' && !portable)('opens a descriptor of the process', () => {
  const [left] = pair();
  const pidfd = peerCredentials(left).openPidfd();
  if (pidfd !== undefined) expect(closing(pidfd).describe().kind).toBe('pidfd');
});

it('refuses what has no peer', () => {
  expect(codeOf(() => peerCredentials(fileFd('x')))).toBe('ERR_FDPASS_KIND');
  expect(codeOf(() => peerCredentials(fileFd('x').fd))).toBe('ERR_FDPASS_KIND');
  expect(codeOf(() => peerCredentials(-1))).toBe('ERR_FDPASS_BAD_FD');
  expect(codeOf(() => peerCredentials({} as never))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
});
