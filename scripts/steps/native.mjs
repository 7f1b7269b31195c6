// The native binary, in the two profiles (docs/platforms.md): as it ships, and as the code path of macOS on Linux.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runPackage } from './command.mjs';
import { progress } from './report.mjs';
import { whenStale } from './stale.mjs';

const GENERATED_TYPES = 'src/binding.d.ts';
/** The CLI writes an empty file for a binding without typed functions, which TypeScript does not take for a module. */
const NO_TYPES = 'export {};\n';

export const profiles = {
  release: { output: 'build/native', args: ['--release'], env: {} },
  // A debug build: it is quicker, and it runs the suite once with overflow and debug assertions on.
  portable: {
    output: 'build/portable',
    args: ['--target-dir', 'target/portable'],
    env: { RUSTFLAGS: '--cfg fdpass_portable' },
  },
};

/** Builds one profile when its sources changed; for 'release' also the types of the native functions. */
export function buildNative(name = 'release') {
  const profile = profiles[name];
  const generated = name === 'release' ? [GENERATED_TYPES] : [];
  const of = {
    inputs: ['crates', 'Cargo.toml', 'Cargo.lock'],
    outputs: [profile.output, ...generated],
    salt: JSON.stringify(profile),
  };
  return progress(`native build (${name})`, () =>
    whenStale(`native-${name}`, of, () => build(profile, generated)),
  );
}

/** The path of a built binary, or undefined. */
export function nativeFile({ output }) {
  const folder = join(root, output);
  if (!existsSync(folder)) return undefined;
  const file = readdirSync(folder).find((entry) => entry.endsWith('.node'));
  return file && join(folder, file);
}

async function build({ output, args, env }, generated) {
  mkdirSync(join(root, output), { recursive: true });
  const { code } = await runPackage(
    'napi',
    [
      'build',
      '--platform',
      '--no-js',
      ...['--manifest-path', 'crates/fdpass-napi/Cargo.toml'],
      ...['--output-dir', output],
      ...['--dts', 'binding.d.ts'],
      ...args,
    ],
    { env },
  );
  if (code === 0)
    for (const path of generated) commitTypes(join(root, output, 'binding.d.ts'), join(root, path));
  return code === 0;
}

/** Copies the generated types to where they are committed; only when they differ, so that nothing is stale for nothing. */
function commitTypes(from, to) {
  const types = readFileSync(from, 'utf8') || NO_TYPES;
  if (existsSync(to) && readFileSync(to, 'utf8') === types) return;
  writeFileSync(to, types);
  console.log(`  ${GENERATED_TYPES} changed: it is generated and committed, so add it to the commit`);
}
