// How a process ends that has channels: each way in a child. Runs on both engines (`FDPASS_ENGINE`).
import { expect, it } from 'vitest';
import { startFixture } from '../helpers/children.js';

async function exitOf(
  behaviour: string,
  execArgv: string[] = [],
): Promise<{ code: unknown; stdout: string }> {
  const { code, signal, stdout } = await startFixture('engine', [behaviour], { execArgv }).exited;
  return { code: signal ?? code, stdout };
}

it.each(['unreferenced', 'referenced'])(
  'a process with an open, %s channel ends by itself',
  async (behaviour) => {
    expect(await exitOf(behaviour)).toEqual({ code: 0, stdout: 'arrived\n' });
  },
);

it.each(['process-exit', 'process-exit-in-a-listener'])(
  '%s with open channels and queued messages keeps its exit code',
  async (behaviour) => {
    expect((await exitOf(behaviour)).code).toBe(7);
  },
);

it('an error that a listener throws ends the process that has no handler, with 1', async () => {
  expect((await exitOf('throw-in-a-listener')).code).toBe(1);
});

it('clean-up hooks run before finalizers, after them, or without them: owners are collected in any order', async () => {
  expect(await exitOf('collected-in-any-order', ['--expose-gc', '--no-warnings'])).toEqual({
    code: 0,
    stdout: '',
  });
});

it('a number that is closed behind our back does not abort the process', async () => {
  expect(await exitOf('closed-behind-our-back')).toEqual({ code: 0, stdout: 'still works\n' });
});
