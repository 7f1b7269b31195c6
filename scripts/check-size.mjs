// npm run check:size: what a user downloads and waits for. The sizes are limits; what an import costs on whatever machine
// this is stands beside its goal, and fails nothing.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from './build-target.mjs';
import { BINARY_LIMIT } from './check-binary.mjs';
import { MAIN_LIMIT, packMain } from './pack-all.mjs';
import { platformManifest } from './ship/packages.mjs';
import { ownTarget, targets } from './ship/project.mjs';
import { main, run, table } from './ship/run.mjs';
import { nativeFile, profiles } from './steps/native.mjs';

const IMPORT_GOAL_MS = 10;
const RUNS = 31;
/** A program is a file; without one, an import also pays for what Node's loader needs for the first file of any kind. */
const ENTRIES = [
  { name: 'import in a program', options: [], file: 'program.mjs', code: "import 'fdpass'" },
  {
    name: 'import in --eval',
    options: ['--input-type=module', '--eval'],
    code: "import 'fdpass'",
  },
  { name: 'require in --eval', options: ['--eval'], code: "require('fdpass')" },
];

main(() => {
  const directory = mkdtempSync(join(tmpdir(), 'fdpass-size-'));
  try {
    const tarball = packMain(directory);
    const sized = sizes(tarball.size);
    install(tarball.file, directory);
    table([
      ['what', 'measured', 'limit', 'verdict'],
      ...sized.map(({ cells, ok }) => [...cells, ok ? 'ok' : 'TOO MUCH']),
      ...ENTRIES.map((entry) => startCost(entry, directory)),
    ]);
    return sized.every(({ ok }) => ok) ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

function sizes(tarball) {
  const files = targets.map(({ file }) => join(output, file)).filter((file) => existsSync(file));
  return [
    size('main tarball', tarball, MAIN_LIMIT),
    ...files.map((file) => size(file.slice(output.length + 1), statSync(file).size, BINARY_LIMIT)),
  ];
}

function size(name, bytes, limit) {
  return { cells: [name, kilobytes(bytes), kilobytes(limit)], ok: bytes <= limit };
}

function kilobytes(bytes) {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}

/** What an installer would do: the tarball, and beside it the package of this machine, with the released binary if it is built. */
function install(tarball, directory) {
  const target = ownTarget();
  const [packageFolder, platformFolder] = ['fdpass', target.packageName].map((name) => {
    const folder = join(directory, 'node_modules', name);
    mkdirSync(folder, { recursive: true });
    return folder;
  });
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', packageFolder]);
  const released = join(output, target.file);
  cpSync(existsSync(released) ? released : nativeFile(profiles.release), join(platformFolder, target.file));
  writeFileSync(join(platformFolder, 'package.json'), JSON.stringify(platformManifest(target)));
}

/** Bare Node and Node with the package in turns: the median of the differences, as both of a pair see the same machine. */
function startCost({ name, options, file, code }, cwd) {
  const [without, withImport] = ['', code].map((text, index) =>
    argument(file && `${index}-${file}`, text, cwd),
  );
  const bare = [];
  const differences = [];
  for (let round = 0; round < RUNS; round++) {
    bare.push(timeOf([...options, without], cwd));
    differences.push(timeOf([...options, withImport], cwd) - bare.at(-1));
  }
  const cost = median(differences);
  return [
    `${name} on Node ${process.versions.node}, ${median(bare).toFixed(1)} ms bare`,
    `${cost.toFixed(1)} ms`,
    `goal ${IMPORT_GOAL_MS} ms`,
    cost <= IMPORT_GOAL_MS ? 'ok' : 'above the goal here',
  ];
}

/** What Node is told to run: the text itself, or a file with it. */
function argument(file, text, directory) {
  if (file === undefined) return text;
  const path = join(directory, file);
  writeFileSync(path, text);
  return path;
}

function timeOf(args, cwd) {
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, {
    cwd,
    env: { ...process.env, FDPASS_NATIVE_PATH: '' },
  });
  if (status !== 0) throw new Error(`Cannot measure the import: ${stderr}`);
  return performance.now() - started;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
