// npm run smoke: builds what is stale, then runs the smoke program on every runtime.
import { buildAll } from './steps/build.mjs';
import { fail, Report } from './steps/report.mjs';
import { smokeRuntimes } from './steps/smoke.mjs';

const report = new Report();
if (await buildAll()) for (const { name, count } of smokeRuntimes()) await report.add(name, count);
else await report.add('build', async () => fail);
process.exit(report.finish());
