// npm start: builds what is stale, then runs the demonstration.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildAll } from './steps/build.mjs';
import { root } from './steps/command.mjs';

const demonstration = join(root, 'build/ts/examples/demo/demo.js');

if (!(await buildAll())) process.exit(1);
if (!existsSync(demonstration)) {
  console.error('Cannot start the demonstration: examples/demo/demo.ts is not there');
  process.exit(1);
}
// The demonstration gets the terminal itself: it is one of the descriptors it passes.
const { status } = spawnSync(process.execPath, [demonstration, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exit(status ?? 1);
