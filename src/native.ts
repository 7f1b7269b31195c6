import type * as Generated from './binding.js';
import { readVariable } from './environment.js';
import { FdpassError } from './errors.js';
import type { RawBinding } from './native-types.js';
import { candidatePlatforms, PACKAGE_PREFIX } from './platform.js';
import { runtime } from './runtime.js';

const OVERRIDE = 'FDPASS_NATIVE_PATH';
const REINSTALL = 'rm -rf node_modules package-lock.json && npm install --include=optional';

/** Below this package, which comes first when versions differ, and beside it. */
const NEAR = ['../node_modules', '../..'];

/**
 * The binding; this module is its single importer.
 *
 * @internal
 */
export const native: typeof Generated & RawBinding = load();

function load(): typeof Generated & RawBinding {
  const path = readVariable(OVERRIDE);
  if (path) return requireOverride(path);

  const platforms = candidatePlatforms(process.platform, process.arch);
  const packages = platforms.map((platform) => `${PACKAGE_PREFIX}${platform}`);
  const [first] = platforms;
  if (first === undefined) throw unsupportedPlatform();
  return openDirectly(first) ?? requireAny(packages, platforms);
}

/**
 * Opens the binary where most installers put it, without the machinery of `require()`, which takes 1.5 ms to start.
 * Whatever is not so plain is left to that: another libc, a package further up, Plug'n'Play, what to say when it fails.
 */
function openDirectly(platform: string): (typeof Generated & RawBinding) | undefined {
  if (runtime !== 'node') return undefined;
  for (const folder of NEAR) {
    const path = `${import.meta.dirname}/${folder}/${PACKAGE_PREFIX}${platform}/fdpass.${platform}.node`;
    const module = { exports: {} };
    try {
      process.dlopen(module, path);
      return module.exports as typeof Generated & RawBinding;
    } catch {
      // Not here, or not for this machine.
    }
  }
  return undefined;
}

function requireAny(packages: string[], platforms: string[]): typeof Generated & RawBinding {
  const require = makeRequire();
  const checkout = platforms.map((platform) => `../build/native/fdpass.${platform}.node`);
  const causes: unknown[] = [];
  for (const candidate of [...packages, ...checkout]) {
    try {
      return require(candidate);
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw missing(packages, causes);
}

// `createRequire` and not `await import()`: a top-level await would make `require('fdpass')` impossible.
function makeRequire(): NodeJS.Require {
  return process.getBuiltinModule('node:module').createRequire(import.meta.url);
}

function requireOverride(path: string): typeof Generated & RawBinding {
  try {
    return makeRequire()(path);
  } catch (cause) {
    throw new FdpassError(
      'ERR_FDPASS_NATIVE_MISSING',
      `Cannot load the native part of fdpass from ${path}, which ${OVERRIDE} names (${firstLine(cause)}). Correct or unset the variable`,
      { cause },
    );
  }
}

function unsupportedPlatform(): FdpassError {
  return new FdpassError(
    'ERR_FDPASS_UNSUPPORTED_PLATFORM',
    process.platform === 'win32'
      ? 'Cannot use fdpass on Windows: it has no way to pass descriptors over Unix sockets. Import fdpass on Linux and macOS only'
      : `Cannot use fdpass on ${process.platform} ${process.arch}: no binary is published for it. Build one from the sources and name it in ${OVERRIDE}`,
  );
}

function missing(packages: string[], causes: unknown[]): FdpassError {
  const broken = causes.filter((cause) => (cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND');
  const why =
    broken.length > 0
      ? `What is installed does not load on this machine (${broken.map(firstLine).join('; ')}).`
      : 'It is an optional dependency, left out by --omit=optional, by a lock file written on another platform, or when node_modules was copied from another machine.';
  return new FdpassError(
    'ERR_FDPASS_NATIVE_MISSING',
    `Cannot load the native part of fdpass: the package ${packages.join(' or ')} is missing or unusable. ${why} ${remedyFor(broken)}`,
    { cause: new AggregateError(causes, 'Every place where the binary may be was tried') },
  );
}

/** Deno refuses to load any binary unless it is told not to. */
function remedyFor(broken: unknown[]): string {
  if (runtime === 'deno' && broken.some((cause) => firstLine(cause).includes('--allow-ffi')))
    return 'Start Deno with --allow-ffi';
  return `Install anew on this machine: \`${REINSTALL}\``;
}

function firstLine(cause: unknown): string {
  return String((cause as Error).message).split('\n', 1)[0] ?? '';
}
