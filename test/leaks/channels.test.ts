// Descriptors of channels that a program forgot: the collector is the last net.
import { once } from 'node:events';
import { channelPair } from 'fdpass';
import { expect, it } from 'vitest';
import { ending, turn, until } from '../helpers/channels.js';
import { nullFds } from '../helpers/descriptors.js';
import { countDescriptors } from '../helpers/leaks.js';

const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined);

it('closes the message of an iterator that nobody asks again', async () => {
  const [left, right] = channelPair();
  ending(left);
  ending(right);
  const fds = nullFds(3);
  left.post('x', fds);
  const before = countDescriptors();
  const warned = once(process, 'warning');
  await right[Symbol.asyncIterator]().next();
  expect(countDescriptors()).toBe(before + 3);
  right.destroy();
  await turn(2);
  await until(() => {
    collect();
    return countDescriptors() <= before - 1;
  });
  const [warning] = await warned;
  expect(warning).toMatchObject({ code: 'FDPASS_FORGOTTEN' });
});

it('closes a message that receive() gave and nobody closed', async () => {
  const [left, right] = channelPair();
  ending(left);
  ending(right);
  const fds = nullFds(3);
  left.post('x', fds);
  const before = countDescriptors();
  const warned = once(process, 'warning');
  await right.receive();
  await turn(2);
  await until(() => {
    collect();
    return countDescriptors() === before;
  });
  await warned;
});
