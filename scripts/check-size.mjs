// npm run check:size: what a user downloads and waits for. Prints the tarball, the binaries and what `import 'fdpass'`
// costs; the sizes are limits, the time is bounded generously, because it is measured on whatever machine this is.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from './build-target.mjs';
import { BINARY_LIMIT } from './check-binary.mjs';
import { MAIN_LIMIT, packMain } from './pack-all.mjs';
import { root, targets } from './ship/project.mjs';
import { main, table } from './ship/run.mjs';

/** What is aimed at is 10 ms, as the median; the bound is for the quickest run, which a loaded machine delays least. */
const IMPORT_GOAL_MS = 10;
const IMPORT_BOUND_MS = 50;
const RUNS = 21;

main(() => {
  const rows = [...sizes(), importCost()];
  table([
    ['what', 'measured', 'limit', 'verdict'],
    ...rows.map(({ cells, ok }) => [...cells, ok ? 'ok' : 'TOO MUCH']),
  ]);
  return rows.every(({ ok }) => ok) ? 0 : 1;
});

function sizes() {
  const files = targets.map(({ file }) => join(output, file)).filter((file) => existsSync(file));
  return [
    size('main tarball', mainTarball(), MAIN_LIMIT),
    ...files.map((file) => size(file.slice(output.length + 1), statSync(file).size, BINARY_LIMIT)),
  ];
}

function mainTarball() {
  const directory = mkdtempSync(join(tmpdir(), 'fdpass-size-'));
  try {
    return packMain(directory).size;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function size(name, bytes, limit) {
  return { cells: [name, kilobytes(bytes), kilobytes(limit)], ok: bytes <= limit };
}

function kilobytes(bytes) {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}

/** Bare Node and Node with the import in turns, so that both see the same machine. */
function importCost() {
  const bare = [];
  const imported = [];
  for (let run = 0; run < RUNS; run++) {
    bare.push(timeOf(''));
    imported.push(timeOf("import 'fdpass'"));
  }
  const [usual, quickest] = [median, (values) => Math.min(...values)].map((of) => of(imported) - of(bare));
  const what = `import 'fdpass' on Node ${process.versions.node}, ${median(bare).toFixed(1)} ms bare`;
  const cells = [
    what,
    `${usual.toFixed(1)} ms, quickest ${quickest.toFixed(1)}`,
    `${IMPORT_GOAL_MS} ms (bound ${IMPORT_BOUND_MS})`,
  ];
  return { cells, ok: quickest <= IMPORT_BOUND_MS };
}

function timeOf(code) {
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: root,
  });
  if (status !== 0) throw new Error(`Cannot measure the import: ${stderr}`);
  return performance.now() - started;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
