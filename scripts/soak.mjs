// npm run soak: the storms of the suite, long: 1,000 random kills instead of 50, thousands of random sequences. Not part of
// `npm test`. Arguments are names of test files; default are those that have a long form.
import { buildAll } from './steps/build.mjs';
import { run } from './steps/command.mjs';

const LIMIT_MS = 2 * 60 * 60_000;
const long = ['test/process/kill', 'test/prefork/chaos', 'test/process/channel-storm', 'test/property'];

if (!(await buildAll())) process.exit(1);
const files = process.argv.length > 2 ? process.argv.slice(2) : long;
const { code } = await run('node_modules/.bin/vitest', ['run', ...files], {
  env: { FDPASS_SOAK: '1' },
  limitMs: LIMIT_MS,
});
process.exit(code);
