// What must be on the machine before anything is tried, and how to get it.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const RUSTUP = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";

/** @returns {string[]} one line per missing tool; empty when everything is there */
export function missingTools() {
  const rust = rustVersion();
  return [
    tool('Node.js', process.versions.node, '20.19.0', 'nvm install 22   # or https://nodejs.org/en/download'),
    tool('cargo', versionOf('cargo'), rust, versionOf('rustup') ? 'rustup update stable' : RUSTUP),
    tool('rustc', versionOf('rustc'), rust, versionOf('rustup') ? 'rustup update stable' : RUSTUP),
    tool('a C linker (cc)', versionOf('cc'), '0.0.0', linkerCommand()),
  ].filter((line) => line !== undefined);
}

/** Ends the program with exit code 1 when a tool is missing. */
export function requireTools() {
  const missing = missingTools();
  if (missing.length === 0) return;
  console.error(`Cannot build fdpass, ${missing.length === 1 ? 'a tool is' : 'tools are'} missing:\n`);
  console.error(missing.join('\n\n'));
  process.exit(1);
}

/** The version a program prints, or undefined when it is not there or does not run. */
export function versionOf(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  return stdout.match(/\d+\.\d+(\.\d+)?/)?.[0] ?? '0.0.0';
}

function tool(name, found, needed, command) {
  if (found !== undefined && !isOlder(found, needed)) return undefined;
  const state =
    found === undefined ? 'is not installed' : `is version ${found}, needed is ${needed} or later`;
  return `  ${name} ${state}. Install it with:\n    ${command}`;
}

export function isOlder(version, needed) {
  const [a, b] = [version, needed].map((text) => text.split('.').map(Number));
  const differs = b.findIndex((part, i) => (a[i] ?? 0) !== part);
  return differs !== -1 && (a[differs] ?? 0) < b[differs];
}

function rustVersion() {
  const manifest = readFileSync(new URL('../../Cargo.toml', import.meta.url), 'utf8');
  return manifest.match(/^rust-version = "(.+)"$/m)[1];
}

function linkerCommand() {
  if (process.platform === 'darwin') return 'xcode-select --install';
  if (versionOf('apk')) return 'apk add build-base';
  if (versionOf('dnf')) return 'sudo dnf install gcc';
  return 'sudo apt-get install build-essential';
}
