// npm run bench: builds what is stale, then runs every program of bench/ one after the other. They print Markdown.
// Names as arguments run only those: npm run bench -- sync
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildAll } from './steps/build.mjs';
import { root } from './steps/command.mjs';

if (!(await buildAll())) process.exit(1);
const folder = join(root, 'build/ts/bench');
const programs = readdirSync(folder).filter((name) => name.endsWith('.js'));
const wanted = process.argv.slice(2);

let failed = 0;
for (const name of programs) {
  if (wanted.length > 0 && !wanted.includes(name.replace(/\.js$/, ''))) continue;
  console.log('');
  const { status } = spawnSync(process.execPath, ['--expose-gc', join(folder, name)], { stdio: 'inherit' });
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
