// What is shipped: the targets of package.json, and everything npm and cargo call them by.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from '../steps/command.mjs';

export { root };
export const manifest = readJson(join(root, 'package.json'));

/** Tools that the scripts fetch live outside the repository, shared by all checkouts. */
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'fdpass');

/** One record per target of `package.json`. */
export const targets = manifest.napi.targets.map(describeTarget);

export function findTarget(name) {
  const target = targets.find(({ triple, platform }) => name === triple || name === platform);
  if (!target)
    throw new Error(`No target ${name}: package.json has ${targets.map(({ triple }) => triple).join(', ')}`);
  return target;
}

/** The target whose binary the Node that runs this can load. */
export function ownTarget() {
  const { glibcVersionRuntime } = process.report.getReport().header;
  const libc = process.platform !== 'linux' ? undefined : glibcVersionRuntime ? 'glibc' : 'musl';
  const own = targets.find(
    (target) => target.os === process.platform && target.cpu === process.arch && target.libc === libc,
  );
  if (!own) throw new Error(`No target for ${process.platform} ${process.arch} in package.json`);
  return own;
}

export function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function describeTarget(triple) {
  const [machine, , os, libc] = triple.split('-');
  const cpu = { x86_64: 'x64', aarch64: 'arm64' }[machine];
  const parts = os === 'darwin' ? { os, cpu } : { os, cpu, libc: { gnu: 'glibc', musl: 'musl' }[libc] };
  const platform = os === 'darwin' ? `darwin-${cpu}` : `linux-${cpu}-${libc}`;
  const { binaryName, packageName } = manifest.napi;
  return {
    triple,
    platform,
    ...parts,
    packageName: `${packageName}-${platform}`,
    file: `${binaryName}.${platform}.node`,
  };
}
