import { refusal, shown } from '../errors.js';
import type { FdKind } from '../inspect.js';
import { ChannelConfig, FD_KINDS } from '../native-types.js';

/** What is accepted from the peer. What exceeds it arrives as a damaged message, its descriptors closed. */
export interface AcceptOptions {
  /** The most descriptors of one message (16,384). 0 accepts none: the kernel refuses them to the sender where it can. */
  readonly maxFds?: number;
  /** The most bytes of one message (64 MiB). */
  readonly maxMessageBytes?: number;
  /** The kinds of descriptors to accept (all). */
  readonly kinds?: Iterable<FdKind>;
}

/** Amounts in the queue of messages that the peer has not taken yet. */
export interface QueueMarks {
  readonly bytes?: number;
  readonly messages?: number;
  readonly fds?: number;
}

/** What can be set for any channel. Times are in milliseconds; `Infinity` is none. */
export interface ChannelOptions {
  readonly accept?: AcceptOptions;
  /** Has the kernel say who sent each message (`message.credentials`; Linux). */
  readonly credentials?: boolean;
  /** Above it `post()` returns `false` until `'drain'` (1 MiB, 1,024 messages, 512 descriptors). */
  readonly highWater?: QueueMarks;
  /** Above it a message is refused with `ERR_FDPASS_QUEUE_FULL` (256 MiB, 65,536 messages, 16,384 descriptors). */
  readonly maxQueued?: QueueMarks;
  /** How long a peer may stop in the middle of a message (150,000). */
  readonly stallTimeout?: number;
  /** How long an acknowledgement may take (150,000). */
  readonly ackTimeout?: number;
  /** How long `close()` waits for the queue to leave and for the peer's end (5,000). */
  readonly closeTimeout?: number;
}

const DEFAULT = 0;
const NONE = -1;

const UINT32_MAX = 0xffff_ffff;

/** The options as the binding takes them; checked here, before anything changes hands. */
export function configOf(options: ChannelOptions, codec: number, ours: boolean): Float64Array {
  const numbers = new Float64Array(ChannelConfig.length);
  const { accept, highWater, maxQueued } = options;
  group('accept', accept, 'maxFds, maxMessageBytes, kinds');
  group('highWater', highWater, 'bytes, messages, fds');
  group('maxQueued', maxQueued, 'bytes, messages, fds');
  numbers[ChannelConfig.codec] = codec;
  numbers[ChannelConfig.maxMessageBytes] = limit('accept.maxMessageBytes', accept?.maxMessageBytes, 1);
  numbers[ChannelConfig.maxMessageFds] = limit('accept.maxFds', accept?.maxFds, 0);
  numbers[ChannelConfig.highWaterBytes] = mark('highWater.bytes', highWater?.bytes);
  numbers[ChannelConfig.highWaterMessages] = mark('highWater.messages', highWater?.messages);
  numbers[ChannelConfig.highWaterFds] = mark('highWater.fds', highWater?.fds);
  numbers[ChannelConfig.mostBytes] = mark('maxQueued.bytes', maxQueued?.bytes);
  numbers[ChannelConfig.mostMessages] = mark('maxQueued.messages', maxQueued?.messages);
  numbers[ChannelConfig.mostFds] = mark('maxQueued.fds', maxQueued?.fds);
  numbers[ChannelConfig.stallTimeout] = time('stallTimeout', options.stallTimeout);
  numbers[ChannelConfig.ackTimeout] = time('ackTimeout', options.ackTimeout);
  numbers[ChannelConfig.closeTimeout] = mark('closeTimeout', options.closeTimeout);
  numbers[ChannelConfig.acceptKinds] = kinds(accept?.kinds);
  numbers[ChannelConfig.ours] = ours ? 1 : 0;
  numbers[ChannelConfig.credentials] = flag('credentials', options.credentials) ? 1 : 0;
  return numbers;
}

/** Anything else would set nothing. */
function group(name: string, value: unknown, members: string): void {
  if (value !== undefined && (typeof value !== 'object' || value === null))
    throw wrong(name, value, `an object with any of ${members}`);
}

/** A limit on what the peer sends. */
function limit(name: string, value: number | undefined, least: number): number {
  if (value === undefined) return DEFAULT;
  if (!Number.isInteger(value) || value < least || value > UINT32_MAX)
    throw wrong(name, value, `an integer from ${least} to ${UINT32_MAX}`);
  return value === 0 ? NONE : value;
}

/** An amount; `Infinity` is more than there can be. */
function mark(name: string, value: number | undefined): number {
  if (value === undefined) return DEFAULT;
  if (typeof value !== 'number' || !(value > 0)) throw wrong(name, value, 'a number above 0, or Infinity');
  return Math.min(Math.ceil(value), Number.MAX_SAFE_INTEGER);
}

function time(name: string, value: number | undefined): number {
  return value === Number.POSITIVE_INFINITY ? NONE : mark(name, value);
}

function flag(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw wrong(name, value, 'true or false');
  return value === true;
}

function kinds(accepted: Iterable<FdKind> | undefined): number {
  if (accepted === undefined) return NONE;
  if (typeof accepted !== 'object' || accepted === null || !(Symbol.iterator in accepted))
    throw wrong('accept.kinds', accepted, 'a list of kinds');
  let bits = 0;
  for (const kind of accepted) {
    const bit = (FD_KINDS as readonly string[]).indexOf(kind);
    if (bit < 0) throw wrong('accept.kinds', kind, `one of ${FD_KINDS.join(', ')}`);
    bits |= 1 << bit;
  }
  return bits;
}

function wrong(name: string, value: unknown, expected: string): Error {
  return refusal('ERR_FDPASS_INVALID_ARGUMENT', `Cannot use ${shown(value)} as ${name}: give ${expected}`);
}
