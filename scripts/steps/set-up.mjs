// The JavaScript dependencies, installed when they are missing or older than the lock file.
import { run } from './command.mjs';
import { progress } from './report.mjs';
import { whenStale } from './stale.mjs';

/** `npm ci` refuses a lock file in which optional packages of other platforms are missing; `npm install` does not. */
const INSTALL = ['install', '--no-audit', '--no-fund'];

export async function setUp() {
  const of = { inputs: ['package.json', 'package-lock.json'], outputs: ['node_modules/.package-lock.json'] };
  return progress('set-up (npm install)', () => whenStale('node_modules', of, install));
}

async function install() {
  const { code, output } = await run('npm', INSTALL, { quiet: true });
  if (code !== 0) console.error(output);
  return code === 0;
}
