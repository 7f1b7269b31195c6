// The smoke program (smoke/) on every runtime: what each one counted, or a skip by name where it cannot be had.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bun, deno, node } from '../ship/runtimes.mjs';
import { root, run } from './command.mjs';
import { skip } from './report.mjs';
import { crashCounts } from './runners.mjs';

/** A runtime that hangs must not hang the run. */
const LIMIT_MS = 60_000;

/** Binaries exist for this system on every runtime's npm package. */
const fetched = [() => node(22), () => node(24), () => node(26), bun, denoWithAllRights];

/** @type {{ name: string, find: () => { command: string[] } }[]} */
const runtimes = [
  {
    name: `Node ${process.versions.node.split('.', 1)[0]} (this one)`,
    find: () => ({ command: [process.execPath] }),
  },
  ...['Node 22', 'Node 24', 'Node 26', 'Bun', 'Deno'].map((name, index) => ({ name, find: fetched[index] })),
];

/** One result for each runtime; one after the other, because each counts its own descriptors and time. */
export function smokeRuntimes() {
  const program = installProgram();
  return runtimes.map(({ name, find }) => ({ name: `smoke: ${name}`, count: () => smoke(find, program) }));
}

/** The program opens files, folders and sockets of all kinds, and asks who owns them. */
function denoWithAllRights() {
  return { command: [deno().program, 'run', '--allow-all', '--quiet'] };
}

async function smoke(find, program) {
  let runtime;
  try {
    runtime = find();
  } catch (error) {
    return skip(`cannot be fetched: ${String(error.message).split('\n', 1)[0]}`);
  }
  const [command, ...args] = runtime.command;
  const { code, output } = await run(command, [...args, program], { limitMs: LIMIT_MS, quiet: true });
  const counts = crashCounts(code, smokeCounts(output));
  const remarks = output.split('\n').filter((line) => counts.failed > 0 || line.startsWith('skipped: '));
  if (remarks.length > 0) console.log(remarks.join('\n'));
  return counts;
}

/** The program's last line. */
export function smokeCounts(output) {
  const [, passed, failed, skipped] = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(output) ?? [];
  return { passed: Number(passed ?? 0), failed: Number(failed ?? 0), skipped: Number(skipped ?? 0) };
}

/** The program finds the package as a user's does, in `node_modules`: not every runtime knows a package's own name. */
function installProgram() {
  const folder = join(root, 'build/smoke');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "dependencies": { "fdpass": "*" } }\n');
  symlinkSync(root, join(folder, 'node_modules/fdpass'));
  symlinkSync(join(root, 'build/ts/smoke'), join(folder, 'program'));
  return join(folder, 'program/main.js');
}
