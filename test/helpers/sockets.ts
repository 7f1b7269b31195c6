/** Temporary folders and socket paths that are gone when the test ends. */
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atEndOfTest } from './cleanup.js';

/** A new empty folder, removed with its content at the end of the test. Short: a socket path has 104 bytes at most. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'fdpass-'));
  atEndOfTest(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A path for a Unix socket in a temporary folder of its own; nothing is there yet. */
export function temporarySocketPath(name = 'socket'): string {
  return join(temporaryFolder(), name);
}

/** A TCP port that nobody listens on, for programs that are told one. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
