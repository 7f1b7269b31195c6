import { sendMessage, socketPair } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { codeOf, pair, portable, received, socketTypes } from './helpers/descriptors.js';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe('socketPair', () => {
  it.each(socketTypes)('makes two connected %s sockets, close-on-exec', (type) => {
    const [left, right] = pair(type);
    for (const end of [left, right])
      expect(end.describe()).toMatchObject({ kind: 'unix', socketType: type, listening: false });
    sendMessage(left, 'ping');
    expect(text(received(right).data)).toBe('ping');
  });

  it('refuses a type that there is not', () => {
    expect(() => socketPair('toString' as never)).toThrow(/'toString'.*stream, datagram, seqpacket/);
    for (const type of [1, null, [Symbol('x')], Object.create(null)])
      expect(codeOf(() => socketPair(type as never))).toBe('ERR_FDPASS_INVALID_ARGUMENT');
  });

  // Only macOS, and its code path on Linux, lack it.
  it.runIf(portable)('says that this system has no seqpacket', () => {
    expect(codeOf(() => socketPair('seqpacket'))).toBe('ERR_FDPASS_UNSUPPORTED');
  });
});
