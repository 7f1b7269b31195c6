// npm test: builds what is stale, then runs every test, Rust and TypeScript.
import { buildAll } from './steps/build.mjs';
import { fail, Report } from './steps/report.mjs';
import { cargoTest, vitest } from './steps/runners.mjs';

const report = new Report();
const built = await buildAll();
if (!built) await report.add('build', async () => fail);
await report.add('cargo test', cargoTest);
if (built) await report.add('vitest', vitest);
process.exit(report.finish());
