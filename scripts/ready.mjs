// npm run ready: what CI runs. Every test, in both profiles, and every check.
import { buildAll } from './steps/build.mjs';
import { checks, count } from './steps/checks.mjs';
import { buildNative } from './steps/native.mjs';
import { fail, Report } from './steps/report.mjs';
import { cargoTest, cargoTestPortable, vitest, vitestPortable, vitestThread } from './steps/runners.mjs';
import { smokeRuntimes } from './steps/smoke.mjs';

const report = new Report();
const built = await buildAll();
if (!built) await report.add('build', async () => fail);

await report.add('cargo test', cargoTest);
if (built) {
  await report.add('vitest', vitest);
  await report.add('vitest (thread engine)', vitestThread);
}

await report.add('cargo test (portable)', cargoTestPortable);
if (!(await buildNative('portable'))) await report.add('build (portable)', async () => fail);
else if (built) await report.add('vitest (portable)', vitestPortable);

if (built) for (const { name, count: smoke } of smokeRuntimes()) await report.add(name, smoke);

for (const check of checks) await report.add(check.name, () => count(check));
process.exit(report.finish());
