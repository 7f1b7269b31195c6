import { expect, it } from 'vitest';
import { cargoCounts, crashCounts, vitestCounts } from '../../scripts/steps/runners.mjs';

const none = { passed: 0, failed: 0, skipped: 0 };

it('sums the results of all Rust test programs', () => {
  const output = `
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
`;
  expect(cargoCounts(output)).toEqual({ passed: 7, failed: 2, skipped: 1 });
});

it('counts a test file that cannot be loaded as a failure', () => {
  const broken = { status: 'failed', assertionResults: [] };
  const report = {
    numPassedTests: 2,
    numFailedTests: 0,
    numPendingTests: 1,
    numTodoTests: 0,
    testResults: [broken],
  };
  expect(vitestCounts(report)).toEqual({ passed: 2, failed: 1, skipped: 1 });
});

it('counts a runner that crashes, or that runs no test, as one failure', () => {
  expect(crashCounts(134, { ...none, passed: 5 })).toMatchObject({ passed: 5, failed: 1 });
  expect(crashCounts(0, none)).toMatchObject({ failed: 1, note: 'no test ran' });
  expect(crashCounts(1, { ...none, failed: 2 })).toEqual({ ...none, failed: 2 });
});
