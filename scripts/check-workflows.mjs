// npm run check:workflows: actionlint and zizmor over .github/workflows; what cannot be had is skipped by name.
import { count } from './steps/checks.mjs';
import { Report } from './steps/report.mjs';
import { workflowLinters } from './steps/workflows.mjs';

const report = new Report();
for (const linter of workflowLinters) await report.add(linter.name, () => count(linter));
process.exit(report.finish());
