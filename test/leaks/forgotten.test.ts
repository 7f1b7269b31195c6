// The last net: an owner that was garbage-collected is closed with a warning. In a process of its own, because the
// collector must run, and other tests' garbage would be in the way.
import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { Fd, type FdList, receiveMessage, sendMessage } from 'fdpass';
import { expect, it } from 'vitest';
import { nullFds, pair } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';

/** Runs the collector until the warning comes. */
async function warning(): Promise<Error & { code?: string; detail?: string }> {
  const warned = once(process, 'warning');
  const timer = setInterval(() => globalThis.gc?.(), 5);
  const [found] = await warned;
  clearInterval(timer);
  return found;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('closes a forgotten Fd, and warns', async () => {
  const number = openSync('/dev/null', 'r');
  (() => void Fd.adopt(number))();
  await nextTurn();
  expect(await warning()).toMatchObject({
    name: 'FdpassWarning',
    code: 'FDPASS_FORGOTTEN',
    message: `An Fd with the descriptor ${number} was garbage-collected while open. It is closed now: call close(), or declare it with \`using\``,
  });
  expect(() => fstatSync(number)).toThrow('EBADF');
});

it('only warns when the number was handed out: it may be someone else’s by now', async () => {
  const number = openSync('/dev/null', 'r');
  (() => void Fd.adopt(number).fd)();
  await nextTurn();
  expect((await warning()).message).toContain('It stays open');
  closeSync(number);
});

it('closes what nobody took of a forgotten message', async () => {
  const [left, right] = pair();
  const before = countDescriptors();
  const taken = ((): Fd | undefined => {
    const fds = nullFds(10);
    sendMessage(left, 'x', fds);
    for (const fd of fds) fd.close();
    return receiveMessage(right)?.fds.take(4);
  })();
  expect(countDescriptors()).toBe(before + 10);
  await nextTurn();
  expect((await warning()).message).toContain('A message with 9 descriptors nobody took');
  expect(taken?.closed).toBe(false);
  taken?.close();
  expect(countDescriptors()).toBe(before);
});

it('says nothing about what was closed, whenever that was', async () => {
  const warnings: Error[] = [];
  const listen = (found: Error): unknown => warnings.push(found);
  process.on('warning', listen);
  await (async () => {
    const [left, right] = pair();
    const lists: FdList[] = [];
    for (let round = 0; round < 3000; round++) {
      sendMessage(left, 'x', [0]);
      const list = receiveMessage(right)?.fds;
      if (list !== undefined && round % 10 === 0) lists.push(list);
      else list?.close();
      if (lists.length > 50) lists.shift()?.close();
      if (round % 500 === 0) await nextTurn();
    }
    await nextTurn();
    for (const list of lists) list.close();
  })();
  for (let round = 0; round < 10; round++) {
    globalThis.gc?.();
    await nextTurn();
  }
  process.off('warning', listen);
  expect(warnings).toEqual([]);
});
