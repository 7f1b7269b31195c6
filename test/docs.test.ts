// Every example a reader may copy is compiled under the project's own settings and run: README, docs and @example.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';

interface Example {
  /** Where it stands, and the name of the program made of it. */
  readonly name: string;
  readonly code: string;
}

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
// Inside the checkout, so that the package finds itself by its own name. One folder per process: two may run at a time.
const folder = join(checkout, 'build/docs', String(process.pid));

const examples = [
  join(checkout, 'README.md'),
  ...filesBelow('docs', '.md'),
  ...filesBelow('src', '.ts'),
].flatMap(examplesIn);

const settings = {
  extends: '../../../tsconfig.json',
  compilerOptions: {
    noEmit: false,
    declaration: false,
    isolatedDeclarations: false,
    rootDir: '.',
    outDir: 'out',
  },
  include: ['*.ts'],
};

beforeAll(() => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  for (const { name, code } of examples) writeFileSync(join(folder, `${name}.ts`), code);
  return () => rmSync(folder, { recursive: true });
});

it('compiles every example', () => {
  const tsc = join(checkout, 'node_modules/.bin/tsc');
  const { stdout } = spawnSync(tsc, ['-p', folder], { cwd: folder, encoding: 'utf8' });
  expect(stdout).toBe('');
});

it.each(examples)('$name runs to its end', ({ name }) => {
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'out', `${name}.js`)], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 15_000,
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

/** A fenced `ts` block is a program when it imports the package; others are signatures and fragments. */
function examplesIn(path: string): Example[] {
  const found: Example[] = [];
  const text = readFileSync(path, 'utf8');
  // In a doc comment every line begins with an asterisk.
  for (const match of text.matchAll(/^( *\* ?)?```ts\n([\s\S]*?)^( *\* ?)?```$/gm)) {
    const [, inComment, body = ''] = match;
    const code = inComment === undefined ? body : body.replace(/^ *\* ?/gm, '');
    if (!/ from 'fdpass(\/\w+)?'/.test(code)) continue;
    const line = text.slice(0, match.index).split('\n').length;
    found.push({ name: `${relative(checkout, path).replaceAll(/[/.]/g, '-')}-${line}`, code });
  }
  return found;
}

function filesBelow(top: string, extension: string): string[] {
  if (!existsSync(join(checkout, top))) return [];
  return readdirSync(join(checkout, top), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(checkout, top, name));
}
