import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { candidatePlatforms } from '../src/platform.js';

describe('candidatePlatforms', () => {
  it('tries glibc before musl on Linux, and detects nothing', () => {
    expect(candidatePlatforms('linux', 'x64')).toEqual(['linux-x64-gnu', 'linux-x64-musl']);
    expect(candidatePlatforms('linux', 'arm64')).toEqual(['linux-arm64-gnu', 'linux-arm64-musl']);
  });

  it('has one name on macOS', () => {
    expect(candidatePlatforms('darwin', 'arm64')).toEqual(['darwin-arm64']);
  });

  it('has none where no binary is published', () => {
    expect(candidatePlatforms('win32', 'x64')).toEqual([]);
    expect(candidatePlatforms('linux', 'riscv64')).toEqual([]);
  });

  it('names every package of npm/', () => {
    const { napi } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    const machines = ['linux', 'darwin'].flatMap((os) =>
      ['x64', 'arm64'].map((cpu) => candidatePlatforms(os, cpu)),
    );
    expect(machines.flat()).toHaveLength(napi.targets.length);
  });
});
