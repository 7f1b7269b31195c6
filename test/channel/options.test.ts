import { Channel, channelPair, connect, listen, spawnWithChannel } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { channels } from '../helpers/channels.js';
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
