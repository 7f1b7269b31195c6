// The loader, as it is installed: a copy of `dist` in an empty folder, without the checkout around it.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { startProgram } from './helpers/children.js';
import { atEndOfTest } from './helpers/cleanup.js';
import { nativeBinary as binary, platforms, root } from './native-binary.js';

const [first = '', last = ''] = [platforms[0], platforms.at(-1)].map((platform) => `fdpass-${platform}`);

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fdpass-loader-'));
  atEndOfTest(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
});

describe('the loader', () => {
  it('finds the package of this platform', async () => {
    installPackage(first, binary);
    expect(await load()).toBe('loaded');
  });

  it('opens the file that is installed without asking require()', async () => {
    installPackage(first, binary, `fdpass.${platforms[0]}.node`, 'what-require-would-look-for.node');
    expect(await load()).toBe('loaded');
  });

  it.runIf(process.platform === 'linux')(
    'goes on to musl when the package of glibc does not load',
    async () => {
      installPackage(first, brokenBinary());
      installPackage(last, binary);
      expect(await load()).toBe('loaded');
    },
  );

  it('takes FDPASS_NATIVE_PATH before anything else', async () => {
    installPackage(first, brokenBinary());
    expect(await load({ FDPASS_NATIVE_PATH: binary })).toBe('loaded');
  });

  it('names the variable when the file that it names does not load', async () => {
    const said = await load({ FDPASS_NATIVE_PATH: '/nonexistent.node' });
    expect(said).toMatch(/^ERR_FDPASS_NATIVE_MISSING: .*\/nonexistent\.node, which FDPASS_NATIVE_PATH names/);
  });

  it('says which package is missing, why, and what mends it', async () => {
    const said = await load();
    expect(said).toMatch(
      new RegExp(`^ERR_FDPASS_NATIVE_MISSING: .*${platforms.map((name) => `fdpass-${name}`).join(' or ')}`),
    );
    expect(said).toContain('--omit=optional');
    expect(said).toContain('npm install --include=optional');
  });

  it('keeps what every attempt said as the cause', async () => {
    installPackage(first, brokenBinary());
    const said = await load({}, 'error.cause.errors.map(({ code }) => code).join()');
    const attempts = platforms.flatMap(() => ['MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);
    expect(said).toBe(`ERR_FDPASS_NATIVE_MISSING: ${['ERR_DLOPEN_FAILED', ...attempts.slice(1)].join()}`);
  });

  it('gives one clear error on Windows', async () => {
    const said = await load({ PRETEND: 'win32' });
    expect(said).toMatch(/^ERR_FDPASS_UNSUPPORTED_PLATFORM: Cannot use fdpass on Windows/);
  });
});

function installPackage(name: string, file: string, fileName = 'binary.node', main = fileName): void {
  const target = join(folder, 'node_modules', name);
  mkdirSync(target, { recursive: true });
  cpSync(file, join(target, fileName));
  writeFileSync(join(target, 'package.json'), JSON.stringify({ name, main }));
}

/** What a glibc system sees of a musl binary, and the other way round: a file that the system's loader refuses. */
function brokenBinary(): string {
  const file = join(folder, 'broken.node');
  writeFileSync(file, 'not a binary');
  return file;
}

async function load(env: Record<string, string> = {}, tell = 'error.message'): Promise<string> {
  const program = `
    if (process.env.PRETEND) Object.defineProperty(process, 'platform', { value: process.env.PRETEND });
    try {
      await import(${JSON.stringify(join(folder, 'dist/index.js'))});
      console.log('loaded');
    } catch (error) {
      console.log(error.code + ': ' + ${tell});
    }`;
  const child = startProgram(process.execPath, ['--input-type=module', '--eval', program], {
    env: { FDPASS_NATIVE_PATH: '', ...env },
  });
  const { stdout, stderr } = await child.exited;
  expect(stderr).toBe('');
  return stdout.trim();
}
