/** C programs to measure against, compiled at run time with what the machine has. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the checkout, seen from where this is compiled to. */
const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** Compiles `bench/c/<name>.c` and returns the program's path, or `undefined` where there is no C compiler. */
export function compileC(name: string): string | undefined {
  const folder = join(root, 'build/bench');
  mkdirSync(folder, { recursive: true });
  const program = join(folder, name);
  const { status } = spawnSync('cc', ['-O2', '-o', program, join(root, `bench/c/${name}.c`)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return status === 0 ? program : undefined;
}
