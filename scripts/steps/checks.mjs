// What `npm run ready` checks besides the tests. Each check is one pass, failure or visible skip.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, runPackage } from './command.mjs';
import { profiles } from './native.mjs';
import { fail, pass, skip } from './report.mjs';
import { workflowLinters } from './workflows.mjs';

/** Files that a tool writes and the repository keeps. */
const GENERATED = ['src/binding.d.ts', 'package-lock.json', 'Cargo.lock'];

const portable = profiles.portable;
const CLIPPY = ['clippy', '--workspace', '--all-targets'];
const DENY_WARNINGS = ['--', '-D', 'warnings'];

/** @type {{ name: string, needs?: string[], check: () => Promise<{ code: number, output: string } | { skipped: string }> }[]} */
export const checks = [
  { name: 'cargo fmt', needs: ['cargo', 'fmt'], check: () => cargo(['fmt', '--all', '--check']) },
  { name: 'clippy', needs: ['cargo', 'clippy'], check: () => cargo([...CLIPPY, ...DENY_WARNINGS]) },
  {
    name: 'clippy (portable)',
    needs: ['cargo', 'clippy'],
    check: () => cargo([...CLIPPY, ...portable.args, ...DENY_WARNINGS], portable.env),
  },
  {
    name: 'rustdoc without warnings',
    check: () => cargo(['doc', '-p', 'fdpass-core', '--no-deps'], { RUSTDOCFLAGS: '-D warnings' }),
  },
  { name: 'biome', check: () => runPackage('biome', ['ci', '--colors=off', '.'], { quiet: true }) },
  { name: 'tsc', check: () => runPackage('tsc', ['-p', '.', '--noEmit'], { quiet: true }) },
  { name: 'declarations stand alone', check: declarations },
  { name: 'generated files are committed', needs: ['git'], check: committed },
  {
    name: 'API reports',
    check: () => run(process.execPath, ['scripts/api.mjs', '--check'], { quiet: true }),
  },
  { name: 'npm packages', check: () => run(process.execPath, ['scripts/check-npm.mjs'], { quiet: true }) },
  ...workflowLinters,
];

/** Runs one check; its output is shown when it fails. */
export async function count({ needs, check }) {
  if (needs !== undefined && !isThere(needs)) return skip(`${needs.join(' ')} is not installed`);
  const { code, output, skipped } = await check();
  if (skipped !== undefined) return skip(skipped);
  if (code !== 0) console.log(output);
  return code === 0 ? pass : fail;
}

function cargo(args, env) {
  return run('cargo', args, { env, quiet: true });
}

function isThere([program, ...subcommand]) {
  return spawnSync(program, [...subcommand, '--version']).status === 0;
}

/** As the strictest of users compiles them: nothing is skipped, and what was left out as internal must not be missed. */
function declarations() {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const entries = Object.values(exports).flatMap(({ types }) => types ?? []);
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022'];
  const library = ['--lib', 'es2023,esnext.disposable'];
  return runPackage('tsc', ['--ignoreConfig', ...options, ...library, ...entries], { quiet: true });
}

/** The build has just written them: what differs from the index was stale. */
async function committed() {
  const listed = await run('git', ['ls-files', '--error-unmatch', ...GENERATED], { quiet: true });
  return listed.code === 0
    ? run('git', ['diff', '--exit-code', '--', ...GENERATED], { quiet: true })
    : listed;
}
