// What a user sees where no binary fits, and that the command in the message mends it.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { npmInstall, prepare, start } from './installers.mjs';
import { manifest } from './project.mjs';
import { smoke } from './prove-installer.mjs';
import { bun, deno, node } from './runtimes.mjs';

const WANTED = `${manifest.name}@${manifest.version}`;
const HOST =
  process.platform === 'linux' ? `fdpass-linux-${process.arch}-gnu` : `fdpass-darwin-${process.arch}`;

export async function proveErrors(add, { scratch, registry }) {
  for (const [name, body] of Object.entries(cases)) {
    await add(`errors: ${name}`, () => {
      const folder = mkdtempSync(join(scratch, 'errors-'));
      try {
        const { project, context } = prepare(folder, registry);
        return body(project, context);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
}

const cases = {
  'without optional dependencies, then the command of the message': (project, context) => {
    npmInstall(project, context, ['--omit=optional', WANTED]);
    for (const runtime of [node(20), node(26), bun(), deno()]) {
      expect(
        imported(project, context, runtime.command),
        'ERR_FDPASS_NATIVE_MISSING',
        HOST,
        'npm install --include=optional',
      );
    }
    return mend(project, context);
  },
  'after an install for another platform, then the command of the message': (project, context) => {
    npmInstall(project, context, ['--os=darwin', '--cpu=arm64', WANTED]);
    expect(
      imported(project, context, node(24).command),
      'ERR_FDPASS_NATIVE_MISSING',
      HOST,
      'another platform',
    );
    return mend(project, context);
  },
  'Windows installs it and gets one clear error': (project, context) => {
    npmInstall(project, context, ['--os=win32', '--cpu=x64', WANTED]);
    const pretend =
      "Object.defineProperty(process, 'platform', { value: 'win32' }); await import('./import.mjs')";
    const said = start(project, context, [...node(24).command, '--input-type=module', '--eval', pretend]);
    expect(said, 'ERR_FDPASS_UNSUPPORTED_PLATFORM', 'Windows');
    return said.trim().slice(0, 60);
  },
  'FDPASS_NATIVE_PATH names a file that is not there': (project, context) => {
    npmInstall(project, context, [WANTED]);
    context.env.FDPASS_NATIVE_PATH = '/nonexistent.node';
    expect(
      imported(project, context, node(24).command),
      'ERR_FDPASS_NATIVE_MISSING',
      'FDPASS_NATIVE_PATH',
      '/nonexistent.node',
    );
    return '';
  },
  'Deno needs --allow-ffi and nothing else to import it, and is told so': (project, context) => {
    npmInstall(project, context, [WANTED]);
    const command = [deno().program, 'run', '--no-prompt'];
    expect(imported(project, context, [...command, '--allow-ffi']), 'imported');
    expect(imported(project, context, command), 'ERR_FDPASS_NATIVE_MISSING', 'Start Deno with --allow-ffi');
    return '';
  },
};

function imported(project, context, command) {
  return start(project, context, [...command, 'import.mjs']);
}

/** Runs the command that the message gives. */
function mend(project, context) {
  const said = imported(project, context, node(24).command);
  const [, remedy] = /`([^`]+)`/.exec(said);
  start(project, context, ['/bin/sh', '-c', remedy]);
  return smoke(project, context, node(24).command);
}

function expect(said, ...parts) {
  for (const part of parts) {
    if (!said.includes(part)) throw new Error(`expected ${JSON.stringify(part)} in: ${said}`);
  }
}
