/** What every platform package is called before its platform: `scripts/ship/project.mjs` makes the same names. */
export const PACKAGE_PREFIX = 'fdpass-';

const ARCHITECTURES: ReadonlySet<string> = new Set(['x64', 'arm64']);

/**
 * The platforms whose binary may fit this machine, in the order to try them.
 *
 * Which libc a Linux has is not detected: a glibc machine may carry musl's loader, some installers put both packages
 * side by side, and the wrong binary never loads. Trying was right wherever detection failed.
 */
export function candidatePlatforms(platform: string, arch: string): string[] {
  if (!ARCHITECTURES.has(arch)) return [];
  if (platform === 'linux') return [`linux-${arch}-gnu`, `linux-${arch}-musl`];
  if (platform === 'darwin') return [`darwin-${arch}`];
  return [];
}
