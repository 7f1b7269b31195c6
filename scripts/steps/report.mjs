// What is printed: one line per step with its time, one per counted result, and the sum as the last line.

/** Runs one step, printing that it runs and how long it took; `step` returns 'fresh', 'made' or 'failed'. */
export async function progress(name, step) {
  const started = performance.now();
  const outcome = await step();
  const time = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const words = { fresh: 'is fresh', made: `done (${time})`, failed: `FAILED (${time})` };
  console.log(`- ${name} ${words[outcome]}`);
  return outcome !== 'failed';
}

/** @typedef {{ name: string, passed: number, failed: number, skipped: number, seconds: number, note?: string }} Result */

/** Collects results; each is printed when it comes in. */
export class Report {
  #results = [];

  /** Runs `count`, which returns the figures of one runner or check, and times it. */
  async add(name, count) {
    console.log(`\n> ${name}`);
    const started = performance.now();
    const figures = await count().catch((error) => crashed(error));
    const result = { name, ...figures, seconds: (performance.now() - started) / 1000 };
    this.#results.push(result);
    console.log(line(result));
    return result;
  }

  /** Prints every result once more and the sum as the last line; returns the exit code. */
  finish() {
    const sum = { passed: 0, failed: 0, skipped: 0 };
    for (const result of this.#results) {
      for (const key of Object.keys(sum)) sum[key] += result[key];
    }
    console.log(`\n${this.#results.map(line).join('\n')}\n`);
    console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
    return sum.failed === 0 ? 0 : 1;
  }
}

export const pass = { passed: 1, failed: 0, skipped: 0 };
export const fail = { passed: 0, failed: 1, skipped: 0 };
export const skip = (note) => ({ passed: 0, failed: 0, skipped: 1, note });

function crashed(error) {
  console.error(error);
  return fail;
}

/** @param {Result} result */
function line({ name, passed, failed, skipped, seconds, note }) {
  const figures = `${passed} passed, ${failed} failed, ${skipped} skipped`;
  return `  ${failed > 0 ? 'FAILED ' : ''}${name}: ${figures} (${seconds.toFixed(1)} s)${note ? `: ${note}` : ''}`;
}
