// The JavaScript dependencies, installed when they are missing or older than the lock file.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { root, run } from './command.mjs';
import { progress } from './report.mjs';

/** `npm ci` refuses a lock file in which optional packages of other platforms are missing; `npm install` does not. */
const INSTALL = ['install', '--no-audit', '--no-fund'];

export async function setUp() {
  return progress('set-up (npm install)', async () => {
    const [manifest, lock] = [read('package.json'), read('package-lock.json')];
    return isInstalled(manifest, lock, read('node_modules/.package-lock.json')) ? 'fresh' : install();
  });
}

/** Whether npm would have nothing to do; it notes what it installed in a lock file of its own. */
export function isInstalled(manifest, lock, installed) {
  const { '': top, ...packages } = lock.packages;
  const sameRequests = isDeepStrictEqual(manifest.devDependencies, top.devDependencies);
  return (
    sameRequests &&
    Object.entries(packages).every(([path, wanted]) => isThere(wanted, installed?.packages[path]))
  );
}

function isThere(wanted, found) {
  return found === undefined ? wanted.optional === true : found.version === wanted.version;
}

async function install() {
  const { code, output } = await run('npm', INSTALL, { quiet: true });
  if (code !== 0) console.error(output);
  return code === 0 ? 'made' : 'failed';
}

function read(path) {
  const file = join(root, path);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}
