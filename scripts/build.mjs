// npm run build: builds what is missing or stale.
import { buildAll } from './steps/build.mjs';

process.exit((await buildAll()) ? 0 : 1);
