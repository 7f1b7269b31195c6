// Joins the modules that `tsc` emitted into one per entry point and one that they share. Node's loader takes 0.5 ms for
// each of forty small modules, three quarters of the whole import; the declarations stay one per source.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rolldown } from 'rolldown';
import { root } from './command.mjs';
import { filesOf } from './stale.mjs';

const entries = ['index', 'prefork/index'];

/**
 * Short names for local variables: V8 reads every letter at an import. What a stack trace shows stays as it was written,
 * the names of functions and classes and one statement a line.
 */
const minify = {
  compress: false,
  mangle: { toplevel: false, keepNames: true },
  codegen: { removeWhitespace: false },
};

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
    chunkFileNames: '[name].js',
    // One file for all that `fdpass` needs, and not one for each set of entry points that share it.
    codeSplitting: { groups: [{ name: 'shared', test: (id) => !id.startsWith(join(dist, 'prefork')) }] },
    minify,
  });
  await bundle.close();
  for (const path of filesOf('dist').filter((name) => /\.js(\.map)?$/.test(name))) rmSync(join(root, path));
  for (const file of output) {
    const path = join(dist, file.fileName);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.type === 'chunk' ? askForBuiltIns(file.code) : file.source);
    // A module that only passes on what another exports has nothing to map.
    if (file.type === 'chunk' && file.map === null) writeFileSync(`${path}.map`, emptyMap(file.fileName));
  }
}

/** `import` of a module of Node's own takes its loader 0.3 ms more than asking for it; the lines stay where they are. */
function askForBuiltIns(code) {
  return code.replace(
    /^import (\{.*\}) from ("node:.*");$/gm,
    (_, names, module) => `const ${names.replaceAll(' as ', ': ')} = process.getBuiltinModule(${module});`,
  );
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
