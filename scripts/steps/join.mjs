// Joins the modules that `tsc` emitted into one per entry point and what they share. Node's loader takes 0.7 ms for each of
// forty small modules, three quarters of the whole import; the declarations stay one per source.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rolldown } from 'rolldown';
import { root } from './command.mjs';
import { filesOf } from './stale.mjs';

/** The entry points of the package, and the loader, which is tested by itself. */
const entries = ['index', 'prefork/index', 'native'];

export async function joinModules() {
  const dist = join(root, 'dist');
  const bundle = await rolldown({
    input: Object.fromEntries(entries.map((name) => [name, join(dist, `${name}.js`)])),
    platform: 'node',
    external: /^node:/,
    plugins: [withSourceMaps],
  });
  const { output } = await bundle.generate({
    dir: dist,
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    // Beside the entry points: the loader finds the checkout's binary relative to itself.
    chunkFileNames: 'shared-[name].js',
  });
  await bundle.close();
  for (const path of filesOf('dist').filter((name) => /\.js(\.map)?$/.test(name))) rmSync(join(root, path));
  for (const file of output) {
    const path = join(dist, file.fileName);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.type === 'chunk' ? file.code : file.source);
    // A module that only passes on what another exports has nothing to map.
    if (file.type === 'chunk' && file.map === null) writeFileSync(`${path}.map`, emptyMap(file.fileName));
  }
}

function emptyMap(file) {
  return JSON.stringify({ version: 3, file, sources: [], names: [], mappings: '' });
}

/** What `tsc` emitted, with the way back to the sources. */
const withSourceMaps = {
  name: 'source-maps',
  load(id) {
    return { code: readFileSync(id, 'utf8'), map: readFileSync(`${id}.map`, 'utf8') };
  },
};
