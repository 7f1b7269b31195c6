import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AbortError, Fd, FdpassError } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../src/error-codes.js';

const page = readFileSync('docs/errors.md', 'utf8');

/** Code, meaning and remedy of every row of the page's table. */
const rows = [...page.matchAll(/^\| `(ERR_FDPASS_\w+)` \| (.+) \| (.+) \|$/gm)].map(
  ([, code, meaning, remedy]) => [code, { meaning, remedy }] as const,
);

describe('the table of codes', () => {
  it('is what docs/errors.md shows, in the same order', () => {
    expect(rows).toEqual(Object.entries(ERROR_CODES));
  });

  it('has every code that the sources name', () => {
    const named = new Set(
      [...sources('src', '.ts'), ...sources('crates', '.rs')].flatMap(
        (path) => readFileSync(path, 'utf8').match(/(?<=['"`])ERR_FDPASS_\w+(?=['"`])/g) ?? [],
      ),
    );
    expect([...named].filter((code) => !(code in ERROR_CODES))).toEqual([]);
  });
});

describe('an FdpassError', () => {
  it('looks like a system error of Node', () => {
    const error = thrown(() => Fd.duplicate(999_999));
    expect(error).toMatchObject({ name: 'FdpassError', code: 'EBADF', errno: -9, syscall: 'fcntl' });
    expect(String(error)).toMatch(/^FdpassError: /);
    expect(error.stack).toContain('errors.test');
  });

  it('has only what it knows', () => {
    expect(Object.keys(thrown(() => Fd.adopt(-1)))).toEqual(['code']);
  });

  it('keeps its cause', () => {
    const cause = new Error('below');
    expect(new FdpassError('EIO', 'above', { cause }).cause).toBe(cause);
    expect('cause' in new FdpassError('EIO', 'above')).toBe(false);
  });
});

it('an AbortError has the reason of the signal as its cause', () => {
  const reason = new Error('enough');
  const error = new AbortError(AbortSignal.abort(reason));
  expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
});

function thrown(call: () => unknown): FdpassError {
  try {
    call();
  } catch (error) {
    if (error instanceof FdpassError) return error;
  }
  throw new Error('No FdpassError was thrown');
}

function sources(top: string, extension: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension) && !name.includes('target/'))
    .map((name) => join(top, name));
}
