// node scripts/publish.mjs DIR --publish | --dry-run: publishes the tarballs in DIR, platform packages first, because
// whoever installs the main package in between would find none. What is published already is left alone, so that a
// release that broke off can be run again.
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { manifest, targets } from './ship/project.mjs';
import { main, run } from './ship/run.mjs';

main(([directory, mode]) => {
  if (mode !== '--publish' && mode !== '--dry-run') throw new Error('Say --publish or --dry-run');
  const tag = process.env.GITHUB_REF_NAME;
  if (mode === '--publish' && tag !== `v${manifest.version}`) {
    throw new Error(`Cannot publish ${manifest.version} from ${tag}: the tag must be v${manifest.version}`);
  }
  const names = [...targets.map(({ packageName }) => packageName), manifest.name];
  const files = names.map((name) => tarball(resolve(directory), name));
  for (const [index, name] of names.entries()) publish(name, files[index], mode);
});

/** Exactly the files that were tested; one that is missing stops the release before anything is published. */
function tarball(directory, name) {
  const file = `${name}-${manifest.version}.tgz`;
  if (!readdirSync(directory).includes(file))
    throw new Error(`Cannot publish: ${file} is not in ${directory}`);
  return join(directory, file);
}

function publish(name, file, mode) {
  if (isPublished(name)) {
    console.log(`${name}@${manifest.version} is published already`);
    return;
  }
  run('npm', [
    'publish',
    file,
    '--access',
    'public',
    ...(mode === '--dry-run' ? ['--dry-run'] : ['--provenance']),
  ]);
  console.log(`${name}@${manifest.version} ${mode === '--dry-run' ? 'would be published' : 'published'}`);
}

function isPublished(name) {
  try {
    return run('npm', ['view', `${name}@${manifest.version}`, 'version']).trim() === manifest.version;
  } catch {
    return false;
  }
}
