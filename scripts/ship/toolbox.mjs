// Tools that a fresh checkout does not have: each is fetched once, at a fixed version, into the cache directory.
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './project.mjs';
import { has, run } from './run.mjs';

const ZIG = '0.17.0';
const ZIGBUILD = '0.24.1';

/** Puts a Python package into its own virtual environment and returns the environment's `bin`. */
export function pythonTool(name, version) {
  const home = fetchOnce(`${name}-${version}`, (directory) => {
    run('python3', ['-m', 'venv', directory]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    run(join(directory, 'bin', 'python'), [...pip, `${name}==${version}`]);
  });
  return join(home, 'bin');
}

/** Puts an npm package (`name@version`) and what it needs into a directory of its own and returns that. */
export function npmTool(spec, overrides = {}) {
  return fetchOnce(spec, (home) => {
    writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, overrides }));
    run('npm', ['install', '--no-package-lock', '--ignore-scripts', '--loglevel=error', spec], { cwd: home });
  });
}

/** Unpacks one npm package, whatever platform it is for, and returns the directory. */
export function npmArchive(spec) {
  return fetchOnce(spec, (home) => {
    const said = run('npm', ['pack', '--json', '--loglevel=error', spec], { cwd: home });
    const [{ filename }] = Object.values(JSON.parse(said));
    run('tar', ['-xzf', filename, '--strip-components=1'], { cwd: home });
    rmSync(join(home, filename));
  });
}

/** Runs `fill` on a new directory of the cache unless it did before; half-filled ones are begun again. */
export function fetchOnce(name, fill) {
  const home = join(cache, name.replaceAll('/', '-'));
  const ready = join(home, '.ready');
  if (!existsSync(ready)) {
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    fill(home);
    writeFileSync(ready, '');
  }
  return home;
}

/** zig, as a linker that carries the libraries of all targets, and the cargo subcommand that uses it. */
export function zigTools() {
  const home = fetchOnce(`cargo-zigbuild-${ZIGBUILD}`, (directory) => {
    run('cargo', ['install', 'cargo-zigbuild', '--version', ZIGBUILD, '--locked', '--root', directory], {
      cwd: directory,
    });
  });
  return { python: join(pythonTool('ziglang', ZIG), 'python'), bin: join(home, 'bin') };
}

/** rustc calls this program for Mach-O files, and Debian has it under another name. */
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
