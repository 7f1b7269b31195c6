/** What a test must undo at its end, newest first, whether it passed or not. */
type Cleanup = () => void | Promise<void>;

const cleanups: Cleanup[] = [];

/** Runs `cleanup` when the current test (or the current hook's scope) ends, before descriptors are counted. */
export function atEndOfTest(cleanup: Cleanup): void {
  cleanups.push(cleanup);
}

/** Runs everything registered; one that throws does not keep the others from running. */
export async function runCleanups(): Promise<void> {
  const errors: unknown[] = [];
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) {
    try {
      await cleanup();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, 'A clean-up failed');
}
