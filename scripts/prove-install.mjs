// npm run prove:install: the tarballs of a release, installed from a local registry by every package manager, with no
// compiler within reach, and used on every runtime. `-- --packages DIR` proves tarballs that are
// already packed, `--only TEXT` runs the parts whose names contain it (a package manager, errors, types, foreign).
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { packAll } from './pack-all.mjs';
import { installers } from './ship/installers.mjs';
import { proveErrors } from './ship/prove-errors.mjs';
import { proveForeign } from './ship/prove-foreign.mjs';
import { proveInstaller } from './ship/prove-installer.mjs';
import { proveTypes } from './ship/prove-types.mjs';
import { publish, startRegistry } from './ship/registry.mjs';
import { main } from './ship/run.mjs';
import { fail, pass, Report } from './steps/report.mjs';

main(async (args) => {
  const { values } = parseArgs({ args, options: { packages: { type: 'string' }, only: { type: 'string' } } });
  const scratch = mkdtempSync(join(tmpdir(), 'fdpass-install-'));
  const registry = await startRegistry(join(scratch, 'registry'));
  try {
    const tarballs = values.packages
      ? packedBefore(resolve(values.packages))
      : await packNow(join(scratch, 'packages'));
    publish(registry, tarballs, scratch);
    return await prove({ scratch, registry, tarballs, only: values.only ?? '' });
  } finally {
    registry.close();
    rmSync(scratch, { recursive: true, force: true });
  }
});

async function prove({ only, ...setting }) {
  const report = new Report();
  const add = (name, body) => report.add(name, () => verdict(body));
  const parts = {
    ...Object.fromEntries(
      installers.map((installer) => [installer.name, proveInstaller.bind(undefined, installer)]),
    ),
    errors: proveErrors,
    types: proveTypes,
    foreign: proveForeign,
  };
  for (const [name, part] of Object.entries(parts)) {
    if (name.includes(only)) await part(add, setting);
  }
  return report.finish();
}

/** A check passes by returning what it saw, and fails by throwing; what it skips it returns as such. */
async function verdict(body) {
  try {
    const seen = await body();
    if (typeof seen === 'object') return seen;
    return { ...pass, note: seen };
  } catch (error) {
    console.error(error.message);
    return fail;
  }
}

/** Platform packages come first, as in a release. */
function packedBefore(directory) {
  const names = readdirSync(directory).filter((name) => name.endsWith('.tgz'));
  const isMain = (name) => /^fdpass-\d/.test(name);
  return names.sort((a, b) => Number(isMain(a)) - Number(isMain(b))).map((name) => join(directory, name));
}

async function packNow(directory) {
  const packed = await packAll(directory);
  const problems = packed.flatMap(({ name, problems: found }) =>
    found.map((problem) => `${name}: ${problem}`),
  );
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return packed.map(({ file }) => file);
}
