// Whether something must be made again: a hash over what it is made from, kept in a stamp beside what was made.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './command.mjs';

const stamps = join(root, 'build/stamps');

/**
 * Runs `make` unless it ran before with the same inputs and what it made is still as it left it.
 *
 * @param {string} name of the stamp
 * @param {{ inputs: string[], outputs: string[], salt?: string }} of paths from the top of the checkout; a folder counts with all its files
 * @param {() => Promise<boolean>} make returns whether it worked
 * @returns {Promise<'fresh' | 'made' | 'failed'>}
 */
export async function whenStale(name, { inputs, outputs, salt = '' }, make) {
  const stamp = join(stamps, name);
  const before = hashOf(inputs, salt);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === before + hashOf(outputs)) return 'fresh';
  rmSync(stamp, { force: true });
  if (!(await make())) return 'failed';
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, before + hashOf(outputs));
  return 'made';
}

function hashOf(paths, salt = '') {
  const hash = createHash('sha256').update(salt);
  for (const path of paths.flatMap(filesOf).sort()) {
    hash.update(`\0${path}\0`).update(readFileSync(join(root, path)));
  }
  return `${hash.digest('hex')}\n`;
}

/** Every file at or below `path`, as paths from the top of the checkout; none when it does not exist. */
export function filesOf(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (statSync(full).isFile()) return [path];
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));
}
