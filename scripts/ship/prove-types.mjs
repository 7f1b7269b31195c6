// What TypeScript and the linters of published packages say of the main tarball.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmInstall, prepare, start } from './installers.mjs';
import { manifest } from './project.mjs';
import { node } from './runtimes.mjs';
import { npmTool } from './toolbox.mjs';

const COMPILERS = ['5.9', '7'];
const RESOLUTIONS = {
  nodenext: { module: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
};
const PUBLINT = 'publint@0.3.25';
const ATTW = '@arethetypeswrong/cli@0.18.5';

export async function proveTypes(add, { scratch, registry, tarballs }) {
  const folder = mkdtempSync(join(scratch, 'types-'));
  const { project, context } = prepare(folder, registry);
  npmInstall(project, context, [`${manifest.name}@${manifest.version}`]);
  cpSync(join(npmTool('@types/node@20'), 'node_modules'), join(project, 'node_modules'), { recursive: true });
  for (const compiler of COMPILERS) {
    for (const [resolution, options] of Object.entries(RESOLUTIONS)) {
      const name = `types: TypeScript ${compiler}, strict, ${resolution}`;
      await add(name, () => compile(project, context, compiler, options));
    }
  }
  const tarball = tarballs.at(-1);
  await add('publint --strict', () =>
    lint(context, PUBLINT, 'publint', 'src/cli.js', ['run', tarball, '--strict']),
  );
  await add('attw --profile esm-only', () =>
    lint(context, ATTW, '@arethetypeswrong/cli', 'dist/index.js', [
      tarball,
      '--profile',
      'esm-only',
      '--no-emoji',
    ]),
  );
  rmSync(folder, { recursive: true, force: true });
}

/** Nothing is skipped in the declarations, and no types are named: what they need they must bring. */
function compile(project, context, version, options) {
  const compilerOptions = {
    ...options,
    target: 'es2022',
    strict: true,
    noEmit: true,
    skipLibCheck: false,
  };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.mts'] }));
  const compiler = join(npmTool(`typescript@${version}`), 'node_modules', 'typescript', 'bin', 'tsc');
  start(project, context, [...node(24).command, compiler, '--project', 'tsconfig.json']);
  return '';
}

function lint(context, spec, name, entry, args) {
  const said = start(context.home, context, [
    ...node(24).command,
    join(npmTool(spec), 'node_modules', name, entry),
    ...args,
  ]);
  console.log(said.trim());
  return '';
}
