// Running other programs from a script.
import { spawnSync } from 'node:child_process';

/** Runs a program and returns what it printed; a failure throws with the end of what it said. */
export function run(command, args, { input, quiet = true, ...options } = {}) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    input,
    stdio: ['pipe', 'pipe', quiet ? 'pipe' : 'inherit'],
    ...options,
  });
  if (result.status === 0) return result.stdout;
  const said = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.trim().split('\n').slice(-25).join('\n');
  throw new Error(
    `${[command, ...args].join(' ')} failed (${result.error?.message ?? result.signal ?? result.status})\n${said}`,
  );
}

/** Whether a program can be started at all. */
export function has(command, args = ['--version']) {
  const { status } = spawnSync(command, args, { stdio: 'ignore' });
  return status === 0;
}

/** Prints rows as columns: the first row is the head. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, column) => String(cell ?? '').padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
  }
}

/** Runs a script's main function: a failure is one clear line and exit code 1. */
export async function main(body) {
  try {
    const code = await body(process.argv.slice(2));
    process.exitCode = code ?? 0;
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

/** Whether the module is the program that was started, not an import. */
export function isMain(meta) {
  return process.argv[1] !== undefined && meta.url === new URL(`file://${process.argv[1]}`).href;
}
