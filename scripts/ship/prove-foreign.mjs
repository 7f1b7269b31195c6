// The binaries of the other machine and the other libc, installed by npm's own flags and run by a Node of that kind.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { skip } from '../steps/report.mjs';
import { npmInstall, prepare, start } from './installers.mjs';
import { manifest, targets } from './project.mjs';
import { smoke } from './prove-installer.mjs';
import { foreignNode } from './runtimes.mjs';

/** qemu-user gives the kernel twice the room for descriptors, so truncation does not happen as it would. */
const UNFAITHFUL_UNDER_QEMU = 'truncation';

export async function proveForeign(add, { scratch, registry }) {
  const foreign = targets.filter(
    ({ os, cpu, libc }) => os === 'linux' && !(cpu === process.arch && libc === 'glibc'),
  );
  for (const target of foreign) {
    const name = `${target.platform}: smoke program and behaviour`;
    await add(name, () => proveTarget(target, mkdtempSync(join(scratch, 'foreign-')), registry));
  }
  for (const { platform } of targets.filter(({ os }) => os === 'darwin' && process.platform !== 'darwin')) {
    await add(`${platform}: smoke program and behaviour`, () =>
      skip('only a Mac can run it; its file is checked by build:all'),
    );
  }
}

function proveTarget(target, folder, registry) {
  let runtime;
  try {
    runtime = foreignNode(target);
  } catch (error) {
    return skip(error.message.split('\n')[0]);
  }
  const { project, context } = prepare(folder, registry);
  const { os, cpu, libc } = target;
  npmInstall(project, context, [
    `--os=${os}`,
    `--cpu=${cpu}`,
    `--libc=${libc}`,
    `${manifest.name}@${manifest.version}`,
  ]);
  const said = smoke(project, context, runtime.command);
  const counted = behaviour(project, context, runtime);
  rmSync(folder, { recursive: true, force: true });
  return { ...counted, passed: counted.passed + 1, note: `${runtime.name}: ${said}` };
}

/** The program prints its counts, and names what it skips. */
function behaviour(project, context, { name, command }) {
  if (name.includes('qemu')) context.env.FDPASS_UNFAITHFUL = UNFAITHFUL_UNDER_QEMU;
  const said = start(project, context, [...command, 'behaviour.mjs', ...command]);
  console.log(said.match(/^(ok|not ok|✔|✖|﹣) .*/gm)?.join('\n'));
  const count = (what) => Number(new RegExp(`^\\W*${what} (\\d+)`, 'm').exec(said)[1]);
  return { passed: count('pass'), failed: count('fail'), skipped: count('skipped') };
}
