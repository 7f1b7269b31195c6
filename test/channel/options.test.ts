import { Channel, channelPair, connect, listen, spawnWithChannel } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { channels, next, text } from '../helpers/channels.js';
import { codeOf, pair } from '../helpers/descriptors.js';

/** What JavaScript may give in their place. */
const none = [null, 5, 'codec', true] as never[];

describe.each(none)('options that are %s', (options) => {
  it('open no channel, and leave every descriptor with its owner', async () => {
    const [socket] = pair();
    expect(codeOf(() => channelPair(options))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(codeOf(() => Channel.from(socket, options))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
    expect(codeOf(() => spawnWithChannel(process.execPath, ['--version'], options))).toBe(
      'ERR_FDPASS_INVALID_ARGUMENT',
    );
    const refused = {
      code: 'ERR_FDPASS_INVALID_ARGUMENT',
      message: expect.stringMatching(/options.*object/),
    };
    await expect(connect('@fdpass-test-nobody', options)).rejects.toMatchObject(refused);
    await expect(listen('@fdpass-test-options', options)).rejects.toMatchObject(refused);
    expect(socket.closed).toBe(false);
  });

  it('send and receive nothing', async () => {
    const [left] = channels();
    const refused = {
      code: 'ERR_FDPASS_INVALID_ARGUMENT',
      message: expect.stringMatching(/options.*object/),
    };
    await expect(left.send('x', [], options)).rejects.toMatchObject(refused);
    await expect(left.receive(options)).rejects.toMatchObject(refused);
  });
});

const wrong: [message: RegExp, options: object][] = [
  [/'file' as accept\.kinds: give a list/, { accept: { kinds: 'file' } }],
  [/5 as accept\.kinds: give a list/, { accept: { kinds: 5 } }],
  [/5 as accept: give an object/, { accept: 5 }],
  [/5 as highWater: give an object/, { highWater: 5 }],
  [/null as maxQueued: give an object/, { maxQueued: null }],
];

it.each(wrong)('refuses what would set nothing: %s', (message, options) => {
  const open = () => channelPair(options as never);
  expect(open).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_INVALID_ARGUMENT' }));
  expect(open).toThrow(message);
});

it('refuses what is no signal before anything is under way', async () => {
  const [left, right] = channels();
  const signal = {} as AbortSignal;
  const refused = { code: 'ERR_FDPASS_INVALID_ARGUMENT', message: expect.stringMatching(/an AbortSignal$/) };
  await expect(left.send('x', [], { signal })).rejects.toMatchObject(refused);
  await expect(right.receive({ signal })).rejects.toMatchObject(refused);
  await expect(connect('@fdpass-test-nobody', { signal })).rejects.toMatchObject(refused);
  left.post('the first');
  expect(text((await next(right)).data)).toBe('the first');
});

it.each([-1, '5', Number.NaN])('connects with no timeout of %s', async (timeout) => {
  const refused = { code: 'ERR_FDPASS_INVALID_ARGUMENT', message: expect.stringMatching(/timeout is/) };
  await expect(connect('@fdpass-test-nobody', { timeout } as never)).rejects.toMatchObject(refused);
});

it.each([{ backlog: 'x' }, { backlog: -1 }, { replace: 'yes' }])('listens with no %o', async (options) => {
  const [name] = Object.keys(options);
  const refused = { code: 'ERR_FDPASS_INVALID_ARGUMENT', message: expect.stringMatching(`${name} is`) };
  await expect(listen('/tmp/fdpass-test-options', options as never)).rejects.toMatchObject(refused);
});

it('takes no number for a port', async () => {
  const refused = { code: 'ERR_FDPASS_BAD_FD', message: expect.stringMatching(/never a port$/) };
  await expect(connect(65_535)).rejects.toMatchObject(refused);
  await expect(listen(65_535)).rejects.toMatchObject(refused);
});
