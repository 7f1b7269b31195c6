import { checkOptions } from './check-options.js';
import { refusal, shown } from './errors.js';
import type { FdList } from './fd-list.js';
import { runtime } from './runtime.js';
import type { Sendable } from './sendable.js';

/**
 * Turns values into the bytes of a message and back. Both sides of a channel must use codecs with the same `id`.
 *
 * @example
 * ```ts
 * import { openSync } from 'node:fs';
 * import { channelPair, type Codec, Fd } from 'fdpass';
 *
 * interface Upload {
 *   name: string;
 *   file: Fd;
 * }
 *
 * const uploads: Codec<Upload> = {
 *   id: 0x1001,
 *   encode({ name, file }, fds) {
 *     fds.push(file);
 *     return new TextEncoder().encode(name);
 *   },
 *   decode(bytes, fds) {
 *     return { name: new TextDecoder().decode(bytes), file: fds.take(0) };
 *   },
 * };
 *
 * const [here, there] = channelPair({ codec: uploads });
 * using file = Fd.adopt(openSync('/dev/null', 'r'));
 * await here.send({ name: 'nothing', file });
 * const message = await there.receive();
 * message?.data.file.close();
 * await Promise.all([here.close(), there.close()]);
 * ```
 */
export interface Codec<T> {
  /** Tells codecs apart, on the wire too: 256 or above, up to 4294967295. */
  readonly id: number;
  /**
   * The bytes of `value`. `fds` holds what the caller of `send()` listed; what is pushed travels with the message, lent
   * or moved as the caller said.
   */
  encode(value: T, fds: Sendable[]): Uint8Array;
  /**
   * The value of `bytes`. Descriptors that belong into it are taken out of `fds` (`fds.take(i)`) and are the value's from
   * then on; the rest stays with the message. Called when the message is handed out.
   */
  decode(bytes: Uint8Array, fds: FdList): T;
}

/** The codecs that come with the library. `'v8'` is for trusted peers on the same engine. */
export type CodecName = 'bytes' | 'json' | 'v8';

/**
 * A codec as a channel uses it.
 */
export interface Wire<T> {
  readonly id: number;
  readonly name: CodecName | undefined;
  /** Bytes of a value; descriptors in it go to `fds`, for {@link fromBytes} alone. */
  toBytes(value: T, fds: Sendable[] | undefined): Uint8Array;
  /** The value in `memory[start..end]`, which is reused after the call: nothing may keep a view of it. */
  read(memory: Uint8Array, start: number, end: number): T;
  /** The value of bytes that are the message's own, as those of a large one are. */
  readOwn(bytes: Uint8Array): T;
  /** For codecs with descriptors: {@link read} gave the bytes, this makes the value of them when it is handed out. */
  readonly fromBytes: ((bytes: Uint8Array, fds: FdList) => T) | undefined;
}

/** JavaScriptCore has a structured clone of its own under the same function names. */
const V8_ID = runtime === 'bun' ? 0x4a53_4331 : 3;
const FIRST_CUSTOM_ID = 0x100;
const LAST_ID = 0xffff_ffff;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

const bytesWire: Wire<Uint8Array | string> = {
  id: 1,
  name: 'bytes',
  toBytes(value) {
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string') return Buffer.from(value);
    throw refusal(
      'ERR_FDPASS_CODEC',
      `Cannot send ${shown(value)} as bytes: give a Uint8Array or a string, or open the channel with a codec. Descriptors come second, in a list: send(data, [fd])`,
    );
  },
  read: (memory, start, end) => memory.slice(start, end),
  readOwn: (bytes) => bytes,
  fromBytes: undefined,
};

const jsonWire: Wire<unknown> = {
  id: 2,
  name: 'json',
  toBytes(value) {
    const text = encoding('JSON', value, JSON.stringify);
    if (text === undefined)
      throw refusal('ERR_FDPASS_CODEC', `Cannot send ${shown(value)} as JSON: it has no JSON form`);
    return Buffer.from(text);
  },
  read: (memory, start, end) => parse(memory.subarray(start, end)),
  readOwn: parse,
  fromBytes: undefined,
};

const v8Wire: Wire<unknown> = {
  id: V8_ID,
  name: 'v8',
  toBytes: (value) => encoding('a structured clone', value, cloning().serialize),
  // A copy first: typed arrays in the value are views of the bytes they are read from.
  read: (memory, start, end) => clone(memory.slice(start, end)),
  readOwn: clone,
  fromBytes: undefined,
};

/**
 * The codec that an option names.
 *
 * @internal
 */
export function wireOf<T>(codec: CodecName | Codec<T> | undefined): Wire<T> {
  if (codec === undefined || codec === 'bytes') return bytesWire as Wire<unknown> as Wire<T>;
  if (codec === 'json') return jsonWire as Wire<T>;
  if (codec === 'v8') return v8Wire as Wire<T>;
  return customWire(codec);
}

/**
 * The same of the options of a channel, which must be some.
 *
 * @internal
 */
export function wireIn<T>(
  operation: string,
  options: { readonly codec?: CodecName | Codec<T> | undefined },
): Wire<T> {
  checkOptions(operation, options);
  return wireOf(options.codec);
}

function customWire<T>(codec: Codec<T>): Wire<T> {
  const { id } = checkedCodec(codec);
  return {
    id,
    name: undefined,
    toBytes(value, fds = []) {
      const bytes = encoding(`codec ${id}`, value, (value) => codec.encode(value, fds));
      if (bytes instanceof Uint8Array) return bytes;
      throw refusal(
        'ERR_FDPASS_CODEC',
        `The codec ${id} must encode to a Uint8Array, not to ${shown(bytes)}`,
      );
    },
    read: (memory, start, end) => memory.slice(start, end) as T,
    readOwn: (bytes) => bytes as T,
    fromBytes: (bytes, fds) => decoding(`codec ${id}`, () => codec.decode(bytes, fds)),
  };
}

function checkedCodec<T>(codec: Codec<T>): Codec<T> {
  const usable =
    typeof codec === 'object' &&
    codec !== null &&
    typeof codec.encode === 'function' &&
    typeof codec.decode === 'function';
  if (!usable) {
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot use ${shown(codec)} as codec: give 'bytes', 'json', 'v8' or an object with id, encode and decode`,
    );
  }
  if (!Number.isInteger(codec.id) || codec.id < FIRST_CUSTOM_ID || codec.id > LAST_ID) {
    throw refusal(
      'ERR_FDPASS_INVALID_ARGUMENT',
      `Cannot use ${shown(codec.id)} as the id of a codec: give an integer from ${FIRST_CUSTOM_ID} to ${LAST_ID}`,
    );
  }
  return codec;
}

function parse(bytes: Uint8Array): unknown {
  return decoding('JSON', () => JSON.parse(strictUtf8.decode(bytes)));
}

function clone(bytes: Uint8Array): unknown {
  return decoding('a structured clone', () => cloning().deserialize(bytes));
}

function encoding<T, R>(form: string, value: T, encode: (value: T) => R): R {
  try {
    return encode(value);
  } catch (cause) {
    throw refusal('ERR_FDPASS_CODEC', `Cannot encode ${shown(value)} as ${form}: ${reason(cause)}`, {
      cause,
    });
  }
}

function decoding<T>(form: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw refusal('ERR_FDPASS_CODEC', `Cannot decode a message as ${form}: ${reason(cause)}`, { cause });
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Loaded when the codec `'v8'` is used and not by `import`. */
function cloning(): typeof import('node:v8') {
  return process.getBuiltinModule('node:v8');
}
