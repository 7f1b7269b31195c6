// npm run api: writes the API reports; with --check: fails when a committed report is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reportCrate } from './steps/api-rust.mjs';
import { reportPackage } from './steps/api-typescript.mjs';
import { buildAll } from './steps/build.mjs';
import { root } from './steps/command.mjs';

const reports = { 'api/fdpass.txt': reportPackage, 'api/fdpass-core.txt': reportCrate };

const check = process.argv.includes('--check');
if (!(await buildAll())) process.exit(1);

let stale = 0;
for (const [path, write] of Object.entries(reports)) {
  const file = join(root, path);
  const text = write();
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  stale += 1;
  console.log(check ? `${path} is stale: run npm run api and commit it` : `${path} written`);
  if (check) continue;
  mkdirSync(join(root, 'api'), { recursive: true });
  writeFileSync(file, text);
}
process.exit(check && stale > 0 ? 1 : 0);
