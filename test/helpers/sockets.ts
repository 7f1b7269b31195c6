/** Temporary folders and socket paths that are gone when the test ends. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
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
