// The linters of the workflow files. Neither comes with npm: they are fetched where Go and Python are there.
import { join } from 'node:path';
import { has, run as must } from '../ship/run.mjs';
import { fetchOnce, pythonTool } from '../ship/toolbox.mjs';
import { run } from './command.mjs';

const FOLDER = '.github/workflows';
const ACTIONLINT = '1.7.12';
const ZIZMOR = '1.32.0';

/** Each returns its exit code and output, or why it was skipped. */
export const workflowLinters = [
  {
    name: 'actionlint',
    check: () =>
      has('go', ['version'])
        ? lint(() => join(goTool(), 'actionlint'), [])
        : { skipped: 'it is built with Go, which is not installed' },
  },
  {
    name: 'zizmor',
    check: () =>
      has('python3')
        ? lint(() => join(pythonTool('zizmor', ZIZMOR), 'zizmor'), ['--offline', FOLDER])
        : { skipped: 'it is a Python package, and Python is not installed' },
  },
];

/** A linter that cannot be fetched (no network) is skipped; one that runs decides. */
async function lint(fetch, args) {
  let program;
  try {
    program = fetch();
  } catch (error) {
    return { skipped: `it cannot be fetched: ${error.message.split('\n')[0]}` };
  }
  return run(program, args, { quiet: true });
}

function goTool() {
  return fetchOnce(`actionlint-${ACTIONLINT}`, (directory) =>
    must('go', ['install', `github.com/rhysd/actionlint/cmd/actionlint@v${ACTIONLINT}`], {
      cwd: directory,
      env: { ...process.env, GOBIN: directory },
    }),
  );
}
