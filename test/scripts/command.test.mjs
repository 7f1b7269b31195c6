import { expect, it } from 'vitest';
import { run } from '../../scripts/steps/command.mjs';

it('returns the exit code and everything that was printed', async () => {
  expect(await run('sh', ['-c', 'echo out; echo err >&2; exit 3'], { quiet: true })).toMatchObject({
    code: 3,
    output: expect.stringMatching(/^(out\nerr|err\nout)\n$/),
  });
});

it('reports a program that cannot be started', async () => {
  const { code, output } = await run('no-such-program', [], { quiet: true });
  expect(code).toBe(127);
  expect(output).toContain('no-such-program');
});

it('ends a command that runs too long, with its grandchildren', async () => {
  const { code, output } = await run('sh', ['-c', 'sh -c "sleep 600; true"; true'], {
    quiet: true,
    limitMs: 100,
  });
  expect(code).toBe(124);
  expect(output).toContain('was ended after');
});
