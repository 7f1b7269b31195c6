// The two test runners, each reduced to its counts.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, runPackage } from './command.mjs';
import { nativeFile, profiles } from './native.mjs';

/** The debug profile: it compiles in a fraction of the release profile's time (LTO), and keeps overflow and debug assertions. */
export function cargoTest() {
  return countCargo(['--workspace']);
}

export function cargoTestPortable() {
  const { args, env } = profiles.portable;
  return countCargo(['-p', 'fdpass-core', ...args], env);
}

export function vitest() {
  return countVitest('vitest');
}

export function vitestPortable() {
  const native = nativeFile(profiles.portable);
  if (native === undefined) throw new Error('Cannot run the suite: the portable binary was not built');
  return countVitest('vitest-portable', { FDPASS_NATIVE_PATH: native, FDPASS_PORTABLE: '1' });
}

/** What concerns the event loop, once more in Node on the engine of Bun and Deno. */
export function vitestThread() {
  return countVitest('vitest-thread', { FDPASS_ENGINE: 'thread' }, ['test/channel/', 'test/engine/']);
}

async function countCargo(args, env) {
  const { code, output } = await run('cargo', ['test', '--no-fail-fast', ...args], { env });
  return crashCounts(code, cargoCounts(output));
}

/** Sums every `test result:` line (one for each test program and one for the examples in the documentation). */
export function cargoCounts(output) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    sum.passed += Number(passed);
    sum.failed += Number(failed);
    sum.skipped += Number(ignored);
  }
  return sum;
}

async function countVitest(name, env, folders = []) {
  const file = join(root, `build/reports/${name}.json`);
  rmSync(file, { force: true });
  const { code } = await runPackage(
    'vitest',
    ['run', ...folders, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
    { env },
  );
  if (!existsSync(file)) return crashCounts(code || 1, { passed: 0, failed: 0, skipped: 0 });
  return crashCounts(code, vitestCounts(JSON.parse(readFileSync(file, 'utf8'))));
}

/** A file that cannot be loaded has no tests, but failed all the same: it counts as one. */
export function vitestCounts(report) {
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** A runner that crashes, or that runs no test, counts as one failure. */
export function crashCounts(code, counts) {
  const crashed = code !== 0 && counts.failed === 0;
  const empty = counts.passed + counts.failed === 0;
  return crashed || empty
    ? { ...counts, failed: 1, note: crashed ? `exit code ${code}` : 'no test ran' }
    : counts;
}
