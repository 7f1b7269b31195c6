// npm run pack:all -- --out DIR: the tarballs of a release, one per package, and nothing else; each is checked.
// `--prebuilt` takes the binaries from build/release as they are.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildAllTargets } from './build-all.mjs';
import { output } from './build-target.mjs';
import { BINARY_LIMIT, checkBinary } from './check-binary.mjs';
import { mainManifest, platformManifest } from './ship/packages.mjs';
import { manifest, root, targets } from './ship/project.mjs';
import { isMain, main, run, table } from './ship/run.mjs';
import { slimSourceMap } from './ship/source-map.mjs';
import { setUp } from './steps/set-up.mjs';
import { buildTypeScript } from './steps/typescript.mjs';

export const MAIN_LIMIT = 100 * 1024;

/** Where the sources of this very version can be read. */
const SOURCE_ROOT = manifest.repository.url
  .replace(/^git\+/, '')
  .replace(/\.git$/, `/raw/v${manifest.version}/`);

const TEXTS = ['LICENSE', 'README.md'];

/**
 * Builds what is stale and packs into `directory`; returns one record per tarball, platform packages first.
 * With `prebuilt` the binaries are taken from build/release as they are: a release packs what was tested.
 */
export async function packAll(directory, { prebuilt = false } = {}) {
  if (!(await setUp()) || !(await buildTypeScript())) throw new Error('Cannot pack: the build failed');
  const unusable = prebuilt ? checkPrebuilt() : await buildAllTargets();
  if (unusable > 0) throw new Error(`Cannot pack: ${unusable} binaries are missing or wrong`);
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(directory)) {
    if (/^fdpass-.*\.tgz$/.test(name)) rmSync(join(directory, name));
  }
  return [...targets.map((target) => packPlatform(target, directory)), packMain(directory)];
}

function checkPrebuilt() {
  const rows = targets.map((target) => [
    target.platform,
    ...checkBinary(join(output, target.file), target).problems,
  ]);
  const wrong = rows.filter(([, ...problems]) => problems.length > 0);
  for (const [platform, ...problems] of wrong) console.error(`${platform}: ${problems.join('; ')}`);
  return wrong.length;
}

function packPlatform(target, directory) {
  const packed = pack(platformManifest(target), directory, (stage) => {
    cpSync(join(output, target.file), join(stage, target.file));
    cpSync(join(root, 'npm', target.platform, 'README.md'), join(stage, 'README.md'));
    cpSync(join(root, 'LICENSE'), join(stage, 'LICENSE'));
  });
  const expected = [...TEXTS, target.file, 'package.json'];
  const binary = packed.files.find(({ path }) => path === target.file)?.size ?? 0;
  return {
    ...packed,
    problems: [
      ...packed.files
        .filter(({ path }) => !expected.includes(path))
        .map(({ path }) => `${path} does not belong here`),
      ...missingFiles(packed, expected),
      ...tooLarge('the binary', binary, BINARY_LIMIT),
    ],
  };
}

/** Packs what is in `dist`, with everything that is wrong with it. */
export function packMain(directory) {
  const published = mainManifest();
  const packed = pack(published, directory, (stage) => {
    for (const path of ['dist', ...TEXTS]) cpSync(join(root, path), join(stage, path), { recursive: true });
    slimSourceMaps(join(stage, 'dist'));
  });
  const code = packed.files.filter(({ path }) => path.endsWith('.js'));
  const expected = [
    ...TEXTS,
    'package.json',
    ...code.map(({ path }) => `${path}.map`),
    ...entryPoints(manifest),
  ];
  return {
    ...packed,
    problems: [
      ...packed.files.filter(({ path }) => !belongs(path)).map(({ path }) => `${path} does not belong here`),
      ...missingFiles(packed, expected),
      ...tooLarge('the tarball', packed.size, MAIN_LIMIT),
      ...forbiddenFields(published),
      ...entryPoints(published).flatMap(nodeTypesProblem),
    ],
  };
}

function slimSourceMaps(directory) {
  for (const path of readdirSync(directory, { recursive: true })) {
    if (!path.endsWith('.map')) continue;
    const file = join(directory, path);
    writeFileSync(file, slimSourceMap(readFileSync(file, 'utf8'), SOURCE_ROOT));
  }
}

function belongs(path) {
  if (/(^|\/)(test|tests|fixtures)\//.test(path) || /\.test\./.test(path)) return false;
  return [...TEXTS, 'package.json'].includes(path) || /^dist\/.+(\.js|\.js\.map|\.d\.ts)$/.test(path);
}

function missingFiles({ files }, expected) {
  const there = new Set(files.map(({ path }) => path));
  return [...new Set(expected)].filter((path) => !there.has(path)).map((path) => `${path} is missing`);
}

/** Every file that `exports`, `main` and `types` promise. */
function entryPoints({ main: entry, types, exports, bin = {} }) {
  const promised = [
    entry,
    types,
    ...Object.values(bin),
    ...Object.values(exports).flatMap((value) => Object.values(Object(value))),
  ];
  return promised
    .filter((path) => typeof path === 'string' && path.startsWith('./'))
    .map((path) => path.slice(2));
}

/** TypeScript 6 and later load no types by themselves: an entry that does not ask for Node's turns into `any`. */
function nodeTypesProblem(path) {
  if (!path.endsWith('.d.ts') || !existsSync(join(root, path))) return [];
  const asks = readFileSync(join(root, path), 'utf8').includes(
    '/// <reference types="node" preserve="true" />',
  );
  return asks ? [] : [`${path} does not refer to Node's types`];
}

/** Nothing runs at installation, and nothing else is installed. */
function forbiddenFields(manifest) {
  const forbidden = ['scripts', 'dependencies', 'peerDependencies', 'devDependencies', 'bundleDependencies'];
  return forbidden.filter((field) => field in manifest).map((field) => `package.json has ${field}`);
}

function tooLarge(what, size, limit) {
  return size > limit ? [`${what} has ${size} bytes, the limit is ${limit}`] : [];
}

function pack(manifest, directory, fill) {
  const stage = mkdtempSync(join(tmpdir(), 'fdpass-pack-'));
  try {
    fill(stage);
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    const said = JSON.parse(
      run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory], { cwd: stage }),
    );
    const [{ filename, size, unpackedSize, files }] = Object.values(said);
    return { name: manifest.name, file: join(directory, filename), size, unpackedSize, files };
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

if (isMain(import.meta)) {
  main(async (args) => {
    const { values } = parseArgs({
      args,
      options: {
        out: { type: 'string', default: join(root, 'build', 'packages') },
        prebuilt: { type: 'boolean', default: false },
      },
    });
    const packed = await packAll(resolve(values.out), values);
    const rows = packed.map(({ name, size, unpackedSize, files, problems }) => [
      name,
      size,
      unpackedSize,
      files.length,
      problems.join('; ') || 'ok',
    ]);
    table([['package', 'tarball', 'unpacked', 'files', 'verdict'], ...rows]);
    const failed = packed.filter(({ problems }) => problems.length > 0).length;
    console.log(`${packed.length - failed} packed into ${values.out}, ${failed} failed`);
    return failed > 0 ? 1 : 0;
  });
}
