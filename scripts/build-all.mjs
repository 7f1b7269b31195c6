// npm run build:all: the release binaries of all targets of package.json, on one Linux machine, checked.
import { buildTarget, reportHead } from './build-target.mjs';
import { targets } from './ship/project.mjs';
import { isMain, main, table } from './ship/run.mjs';

/** Builds what is stale, prints the table and returns how many targets failed. */
export async function buildAllTargets() {
  const results = [];
  for (const target of targets) results.push(await build(target));
  const failed = results.filter(({ ok }) => !ok).length;
  table([reportHead, ...results.map(({ row }) => row)]);
  console.log(`${results.length - failed} built, ${failed} failed`);
  return failed;
}

/** One target that cannot be built does not keep the others from it. */
async function build(target) {
  try {
    return await buildTarget(target);
  } catch (error) {
    console.error(error.message);
    return { ok: false, row: [target.platform, '-', '-', '-', 'not built'] };
  }
}

if (isMain(import.meta)) main(async () => ((await buildAllTargets()) > 0 ? 1 : 0));
