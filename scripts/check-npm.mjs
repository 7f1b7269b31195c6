// npm run check:npm: `npm/*`, the loader's prefix and the versions agree with package.json; --write makes `npm/*` so.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { platformManifest, platformReadme } from './ship/packages.mjs';
import { manifest, root, targets } from './ship/project.mjs';
import { main } from './ship/run.mjs';

main(([option]) => {
  const files = targets.flatMap(expectedFiles);
  if (option === '--write') files.forEach(write);
  const problems = [...files.flatMap(compare), ...strayFolders(), ...otherPlaces()];
  for (const problem of problems) console.error(problem);
  console.log(`${files.length} files of npm/ checked, ${problems.length} problems`);
  return problems.length > 0 ? 1 : 0;
});

function expectedFiles(target) {
  const folder = join('npm', target.platform);
  return [
    { path: join(folder, 'package.json'), text: `${JSON.stringify(platformManifest(target), null, 2)}\n` },
    { path: join(folder, 'README.md'), text: platformReadme(target) },
  ];
}

function write({ path, text }) {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
}

function compare({ path, text }) {
  if (!existsSync(join(root, path))) return [`${path} is missing: run \`npm run check:npm -- --write\``];
  const committed = read(path);
  const same = path.endsWith('.json') ? canonical(committed) === canonical(text) : committed === text;
  return same ? [] : [`${path} differs from package.json: run \`npm run check:npm -- --write\``];
}

/** The formatter may lay out the committed file as it likes. */
function canonical(json) {
  return JSON.stringify(JSON.parse(json));
}

function strayFolders() {
  const known = new Set(targets.map(({ platform }) => platform));
  if (!existsSync(join(root, 'npm'))) return [];
  const strays = readdirSync(join(root, 'npm')).filter((name) => !known.has(name));
  return strays.map((name) => `npm/${name} belongs to no target of package.json`);
}

/** The version and the prefix stand in files that cannot read package.json. */
function otherPlaces() {
  const cargo = read('Cargo.toml');
  const [, crate] = /\[workspace\.package\]\s*version = "([^"]+)"/.exec(cargo) ?? [];
  const [, dependency] = /^fdpass = \{.*version = "([^"]+)"/m.exec(cargo) ?? [];
  const [, prefix] = /PACKAGE_PREFIX = '([^']+)'/.exec(read('src/platform.ts')) ?? [];
  return [
    expect('the version in Cargo.toml [workspace.package]', crate, manifest.version),
    expect('the version of fdpass in Cargo.toml [workspace.dependencies]', dependency, manifest.version),
    expect('PACKAGE_PREFIX in src/platform.ts', prefix, `${manifest.napi.packageName}-`),
  ].flat();
}

function expect(what, found, wanted) {
  return found === wanted ? [] : [`${what} is ${found}, not ${wanted}`];
}

function read(path) {
  return readFileSync(join(root, path), 'utf8');
}
