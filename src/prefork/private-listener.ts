import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PATH } from '../address.js';
import { calling } from '../errors.js';
import { native } from '../native.js';

/** Where a folder can be made: the second one also in a container whose files are read-only (Linux). */
const PARENTS = [tmpdir(), '/dev/shm'];
const PREFIX = 'fdpass-';
/** As long as what `mkdtemp` makes of it. */
const TEMPLATE = `${PREFIX}XXXXXX`;

/** A server with several listeners is served more than once. */
const begun = new WeakSet<Server>();

/**
 * Has a server listen where nobody can come: one that never listened enforces no time-outs. Not at an abstract name: the
 * kernel tells those to everybody on the machine (`/proc/net/unix`), and they have no permissions.
 */
export async function listenPrivately(server: Server): Promise<void> {
  if (begun.has(server)) return;
  begun.add(server);
  const folder = makeFolder();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: socketIn(folder) }, () => {
        server.off('error', reject);
        // Connections keep the process alive, not this.
        server.unref();
        resolve();
      });
    });
  } finally {
    // A socket without a file listens on, and has no name by which it could be reached.
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A folder that only this user enters. */
function makeFolder(): string {
  const causes: unknown[] = [];
  for (const parent of PARENTS) {
    try {
      // An address that is too long is cut by some versions of Node, and would then be elsewhere.
      calling(() => native.checkAddress(PATH, Buffer.from(socketIn(join(parent, TEMPLATE)))));
      return mkdtempSync(join(parent, PREFIX));
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw new AggregateError(causes, `Cannot make a folder for a socket in ${PARENTS.join(' or in ')}`);
}

function socketIn(folder: string): string {
  return join(folder, 'socket');
}
