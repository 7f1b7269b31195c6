// node scripts/test-release.mjs: tests what was built for a release instead of what the checkout builds.
//   (nothing)        the suite with the binary of this machine in build/release
//   --runtimes       the smoke program with that binary on the Bun and Deno of the PATH
//   --packages DIR   the tarballs in DIR, installed by npm into an empty folder, and the smoke program
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { consumer } from './ship/installers.mjs';
import { manifest, ownTarget, root } from './ship/project.mjs';
import { main, run } from './ship/run.mjs';
import { pass, Report } from './steps/report.mjs';
import { vitest } from './steps/runners.mjs';
import { setUp } from './steps/set-up.mjs';
import { buildTypeScript } from './steps/typescript.mjs';

const RUNTIMES = { Bun: ['bun'], Deno: ['deno', 'run', '--allow-all'] };

main(async (args) => {
  const { values } = parseArgs({
    args,
    options: { runtimes: { type: 'boolean' }, packages: { type: 'string' } },
  });
  const report = new Report();
  if (values.packages !== undefined) {
    await report.add('the tarballs', async () => testPackages(resolve(values.packages)));
    return report.finish();
  }
  if (!(await setUp()) || !(await buildTypeScript())) throw new Error('Cannot test: the build failed');
  process.env.FDPASS_NATIVE_PATH = releaseBinary();
  if (!values.runtimes) await report.add('vitest', vitest);
  else
    for (const [name, command] of Object.entries(RUNTIMES))
      await report.add(name, async () => smoke(consumer, command));
  return report.finish();
});

function releaseBinary() {
  const file = join(root, 'build', 'release', ownTarget().file);
  if (!existsSync(file)) throw new Error(`Cannot test: ${file} was not built`);
  return file;
}

function testPackages(directory) {
  const folder = mkdtempSync(join(tmpdir(), 'fdpass-tarballs-'));
  try {
    cpSync(consumer, folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    run('npm', ['install', '--omit=optional', '--loglevel=error', ...tarballsFor(directory)], {
      cwd: folder,
    });
    return smoke(folder, [process.execPath]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The main tarball and the one for this machine; npm refuses to be given one for another. */
function tarballsFor(directory) {
  return [manifest.name, ownTarget().packageName].map((name) =>
    join(directory, `${name}-${manifest.version}.tgz`),
  );
}

function smoke(folder, command) {
  const socket = mkdtempSync(join(tmpdir(), 'fdpass-smoke-'));
  const [program, ...args] = [...command, 'smoke.mjs', join(socket, 's'), ...command];
  const said = run(program, args, { cwd: folder }).trim();
  rmSync(socket, { recursive: true, force: true });
  if (!said.startsWith('300 of 300')) throw new Error(`the smoke program said: ${said}`);
  return { ...pass, note: said };
}
