// One package manager: install, see that no compiler was called, then use what was installed on every runtime.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compilersCalled, prepare, start } from './installers.mjs';

export async function proveInstaller(installer, add, { scratch, registry }) {
  const folder = mkdtempSync(join(scratch, 'installed-'));
  const { project, context } = prepare(folder, registry);
  let installed = false;
  await add(`${installer.name}: installs without a compiler`, () => {
    installer.install(project, context);
    const called = compilersCalled(context);
    if (called.length > 0) throw new Error(`called ${called.join(', ')}`);
    installed = true;
    return '';
  });
  if (installed) {
    for (const runner of installer.runners(project, context)) {
      await add(`${installer.name}: ${runner.name}`, () => use(project, context, runner));
    }
  }
  rmSync(folder, { recursive: true, force: true });
}

/** `require()` first (it is the harder one for an ESM package), then the program that passes descriptors. */
function use(project, context, { command }) {
  start(project, context, [...command, 'require.cjs']);
  return smoke(project, context, command);
}

/** The socket is in the scratch folder: its path must stay under 108 bytes, so its name is short. */
export function smoke(project, context, command) {
  const path = join(context.home, 's');
  const said = start(project, context, [...command, 'smoke.mjs', path, ...command]).trim();
  if (!said.startsWith('300 of 300')) throw new Error(`the smoke program said: ${said}`);
  return said;
}
