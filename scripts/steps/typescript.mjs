// `dist/` (the package) and `build/ts/` (fixtures, examples and benchmarks, because Node 20 cannot run TypeScript).
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, runPackage } from './command.mjs';
import { progress } from './report.mjs';
import { filesOf, whenStale } from './stale.mjs';

const settings = [
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.types.json',
  'tsconfig.fixtures.json',
  'package-lock.json',
];
const programs = ['test/fixtures', 'test/helpers', 'examples', 'bench', 'smoke'];

export async function buildTypeScript() {
  return (
    (await progress('dist (tsc)', () =>
      compile('dist', ['tsconfig.build.json', 'tsconfig.types.json'], {
        inputs: ['src', 'scripts/steps/join.mjs', ...settings],
        outputs: ['dist'],
      }),
    )) &&
    (await progress('fixtures and examples (tsc)', () =>
      compile('fixtures', ['tsconfig.fixtures.json'], {
        inputs: ['src', ...programs, ...settings],
        outputs: ['build/ts'],
      }),
    ))
  );
}

/** Code and declarations of the package are emitted apart: comments belong into the declarations only. */
function compile(name, projects, of) {
  return whenStale(name, of, async () => {
    // What a deleted source left behind must not stay importable.
    for (const output of of.outputs) rmSync(join(root, output), { recursive: true, force: true });
    if (!of.inputs.flatMap(filesOf).some((path) => path.endsWith('.ts'))) return true;
    for (const project of projects) {
      const { code } = await runPackage('tsc', ['-p', project]);
      if (code !== 0) return false;
    }
    if (name === 'dist') {
      // Only now: what it needs is installed by the step before.
      const { joinModules } = await import('./join.mjs');
      await joinModules();
      copyDeclarations();
    }
    return true;
  });
}

/** `tsc` leaves the `.d.ts` files of `src` where they are, and those in `dist` refer to them. */
function copyDeclarations() {
  const declared = filesOf('src').filter((path) => path.endsWith('.d.ts'));
  for (const path of declared) {
    const target = join(root, path.replace(/^src/, 'dist'));
    if (!existsSync(target)) copyFileSync(join(root, path), target);
  }
}
