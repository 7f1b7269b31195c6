import { spawnSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { isOlder } from '../../scripts/steps/requirements.mjs';
import { temporaryFolder } from '../helpers/sockets.js';

const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

it.each(['start', 'test', 'ready', 'build'])(
  '%s names a missing tool and its remedy before anything else',
  (script) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(checkout, `scripts/${script}.mjs`)],
      {
        env: { PATH: folderWithout('cargo') },
        encoding: 'utf8',
      },
    );
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /a tool is missing:\s+cargo is not installed\. Install it with:\s+.*(rustup update|sh\.rustup\.rs)/,
    );
  },
);

it('compares versions by number', () => {
  expect(isOlder('20.9.0', '20.19.0')).toBe(true);
  expect(isOlder('1.100', '1.88')).toBe(false);
  expect(isOlder('22.0.0', '20.19.0')).toBe(false);
  expect(isOlder('20.19.0', '20.19.0')).toBe(false);
});

/** A folder for PATH in which every tool but one is there. */
function folderWithout(missing) {
  const folder = temporaryFolder();
  for (const tool of ['cargo', 'rustc', 'cc', 'node'].filter((name) => name !== missing)) {
    symlinkSync(toolPath(tool), join(folder, tool));
  }
  return folder;
}

function toolPath(tool) {
  return spawnSync('/bin/sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).stdout.trim();
}
