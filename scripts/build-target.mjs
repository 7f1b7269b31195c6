// node scripts/build-target.mjs TARGET: builds the release binary of one target on Linux, into build/release/, and
// checks it. zig links, so no foreign toolchain or SDK is needed; the standard library comes from rustup or Debian.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { checkBinary, GLIBC, INSTALL_NAME, MACOS } from './check-binary.mjs';
import { findTarget, root } from './ship/project.mjs';
import { isMain, main, run, table } from './ship/run.mjs';
import { aptInstall, debianObjcopy, zigTools } from './ship/toolbox.mjs';
import { whenStale } from './steps/stale.mjs';

export const output = join(root, 'build', 'release');
export const reportHead = ['target', 'bytes', 'seconds', 'facts', 'verdict'];

const CRATE = 'fdpass-napi';
const BUILD_STD = {
  RUSTC_BOOTSTRAP: '1', // -Zbuild-std on a stable compiler
  CARGO_UNSTABLE_BUILD_STD: 'std,panic_abort',
  CARGO_UNSTABLE_BUILD_STD_FEATURES: 'panic-unwind', // and not 'backtrace', which is on by default
};
const DEBIAN_PACKAGES = ['rustc-web', 'cargo-web', 'rust-web-src', 'llvm'];

/** Builds what is stale and checks it; returns a row for the table and whether all is well. */
export async function buildTarget(target) {
  const started = Date.now();
  const file = join(output, target.file);
  const of = {
    inputs: ['crates', 'Cargo.toml', 'Cargo.lock', 'scripts/build-target.mjs', 'scripts/ship/toolbox.mjs'],
    outputs: [relative(root, file)],
  };
  const made = await whenStale(`release-${target.platform}`, of, async () => compile(target, file));
  const time = made === 'fresh' ? made : Math.round((Date.now() - started) / 1000);
  const { size, summary, problems } = checkBinary(file, target);
  return {
    ok: problems.length === 0,
    row: [target.platform, size, time, summary, problems.join('; ') || 'ok'],
  };
}

function compile(target, file) {
  const toolchain = findToolchain(target);
  console.log(`building ${target.triple} with ${toolchain.name}`);
  run(
    toolchain.cargo,
    ['zigbuild', '--release', '--locked', '--package', CRATE, '--target', linkTarget(target)],
    {
      cwd: root,
      env: { ...process.env, ...environment(target, toolchain) },
    },
  );
  mkdirSync(output, { recursive: true });
  copyFileSync(built(target), file);
  // rustc left the local symbols of a Mach-O file in it, 160 KB of names.
  if (target.os === 'darwin') run(toolchain.objcopy, ['--discard-all', file]);
  return true;
}

function built({ triple, os }) {
  return join(
    targetDirectory(),
    triple,
    'release',
    `lib${CRATE.replaceAll('-', '_')}.${os === 'darwin' ? 'dylib' : 'so'}`,
  );
}

/** Apart from `target/`, because its flags differ from a developer's build. */
function targetDirectory() {
  return process.env.FDPASS_CROSS_TARGET_DIR || join(root, 'target', 'cross');
}

function linkTarget({ triple, libc }) {
  return libc === 'glibc' ? `${triple}.${GLIBC}` : triple;
}

function environment(target, toolchain) {
  const zig = zigTools();
  const env = {
    ...toolchain.env,
    CARGO_TARGET_DIR: targetDirectory(),
    CARGO_ZIGBUILD_PYTHON_PATH: zig.python,
    CARGO_ENCODED_RUSTFLAGS: [...linkFlags(target), ...remapFlags(toolchain)].join('\x1f'),
    PATH: [...(toolchain.path ?? []), zig.bin, process.env.PATH].join(delimiter),
  };
  return target.os === 'darwin' ? { ...env, MACOSX_DEPLOYMENT_TARGET: MACOS } : env;
}

function linkFlags({ os, libc }) {
  if (os === 'darwin')
    return ['-Clink-arg=-Wl,-dead_strip_dylibs', `-Clink-arg=-Wl,-install_name,${INSTALL_NAME}`];
  // With a static C runtime, cargo silently makes no shared library at all for musl.
  return libc === 'musl' ? ['-Ctarget-feature=-crt-static'] : [];
}

/** Panic messages name source files: the same names wherever the build runs. */
function remapFlags({ sources }) {
  const cargoHome = process.env.CARGO_HOME || join(homedir(), '.cargo');
  return [`${cargoHome}=/cargo`, `${root.replace(/\/$/, '')}=/fdpass`, `${sources}=/rustc`].map(
    (pair) => `--remap-path-prefix=${pair}`,
  );
}

/**
 * The standard library is compiled with us where its sources are: without the code that prints backtraces, of no use in
 * a stripped file, the binary is 230 KB smaller, and no target has to be installed.
 */
function findToolchain({ triple }) {
  const sysroot = run('rustc', ['--print', 'sysroot'], { cwd: root }).trim();
  const sources = join(sysroot, 'lib', 'rustlib', 'src', 'rust');
  const rustup = {
    cargo: 'cargo',
    sources,
    objcopy: join(sysroot, 'lib', 'rustlib', host(), 'bin', 'rust-objcopy'),
  };
  if (existsSync(sources)) return { ...rustup, name: "rustup's sources", env: BUILD_STD };
  if (aptInstall(DEBIAN_PACKAGES)) return debianToolchain();
  if (existsSync(join(sysroot, 'lib', 'rustlib', triple, 'lib'))) {
    return { ...rustup, name: "rustup's prebuilt standard library" };
  }
  throw new Error(
    `Cannot build for ${triple}: the standard library is missing. Get its sources with \`rustup component add rust-src\`, or on Debian 12 with \`apt-get install ${DEBIAN_PACKAGES.join(' ')}\``,
  );
}

/** The triple of this machine's own compiler. */
function host() {
  return /^host: (.+)$/m.exec(run('rustc', ['--version', '--verbose'], { cwd: root }))[1];
}

function debianToolchain() {
  return {
    name: "Debian's sources",
    cargo: '/usr/bin/cargo',
    path: ['/usr/bin', debianObjcopy()],
    objcopy: 'llvm-objcopy',
    sources: join(run('/usr/bin/rustc', ['--print', 'sysroot']).trim(), 'lib', 'rustlib', 'src', 'rust'),
    env: { ...BUILD_STD, RUSTC: '/usr/bin/rustc', RUSTDOC: '/usr/bin/rustdoc' },
  };
}

if (isMain(import.meta)) {
  main(async ([name]) => {
    const { ok, row } = await buildTarget(findTarget(name));
    table([reportHead, row]);
    return ok ? 0 : 1;
  });
}
