// Tools that a fresh checkout does not have: each is fetched once, at a fixed version, into the cache directory.
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './project.mjs';
import { has, run } from './run.mjs';

const ZIG = '0.17.0';
const ZIGBUILD = '0.24.1';

/** Puts a Python package into its own virtual environment and returns the environment's `bin`. */
export function pythonTool(name, version) {
  const home = join(cache, `${name}-${version}`);
  const bin = join(home, 'bin');
  if (!existsSync(join(home, 'ready'))) {
    mkdirSync(cache, { recursive: true });
    run('python3', ['-m', 'venv', home]);
    run(join(bin, 'python'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      `${name}==${version}`,
    ]);
    mkdirSync(join(home, 'ready'));
  }
  return bin;
}

/** Puts npm packages (`name@version`) into a directory of their own and returns it. */
export function npmTool(...specs) {
  const home = join(cache, specs.join('+').replaceAll('/', '-'));
  if (!existsSync(join(home, 'ready'))) {
    mkdirSync(home, { recursive: true });
    run(
      'npm',
      [
        'install',
        '--prefix',
        home,
        '--no-save',
        '--no-package-lock',
        '--ignore-scripts',
        '--loglevel=error',
        ...specs,
      ],
      { cwd: home },
    );
    mkdirSync(join(home, 'ready'));
  }
  return home;
}

/** zig, as a linker that carries the libraries of all targets, and the cargo subcommand that uses it. */
export function zigTools() {
  const python = join(pythonTool('ziglang', ZIG), 'python');
  const home = join(cache, `zigbuild-${ZIGBUILD}`);
  const zigbuild = join(home, 'bin', 'cargo-zigbuild');
  if (!existsSync(zigbuild)) {
    run('cargo', ['install', 'cargo-zigbuild', '--version', ZIGBUILD, '--locked', '--root', home], {
      cwd: cache,
    });
  }
  return { python, bin: join(home, 'bin') };
}

/** rustc strips Mach-O files with a program that Debian has under another name. */
export function debianObjcopy() {
  const bin = join(cache, 'bin');
  const link = join(bin, 'rust-objcopy');
  mkdirSync(bin, { recursive: true });
  if (!existsSync(link)) symlinkSync('/usr/bin/llvm-objcopy', link);
  return bin;
}

/** Installs Debian packages when that is possible here; false when it is not. */
export function aptInstall(packages) {
  if (packages.every((name) => has('dpkg', ['-s', name]))) return true;
  if (process.getuid() !== 0 || !has('apt-get')) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    run('apt-get', ['update', '--quiet']);
    run('apt-get', ['install', '--yes', '--no-install-recommends', ...packages], { env });
    return true;
  } catch (error) {
    console.error(`apt-get: ${error.message.split('\n').at(-1)}`);
    return false;
  }
}
