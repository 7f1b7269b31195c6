import { readVariable } from '../environment.js';
import { native } from '../native.js';
import { RECORD } from '../native-types.js';
import { runtime } from '../runtime.js';

/** One wake-up hands over at most this much; the binding reads the bounds from the sizes of the arrays. */
const BATCH_BYTES = 256 * 1024;
const BATCH_MESSAGES = 256;
const BATCH_DESCRIPTORS = 1024;

const LIBUV_ENGINE = 0;
const THREAD_ENGINE = 1;

/** Tests run the thread engine in Node, too; nowhere does anything choose libuv where it does not work. */
const OVERRIDE = 'FDPASS_ENGINE';

/** How the binding waits for readiness here: libuv works in Node and Electron only. */
export const engine: number =
  runtime === 'node' && readVariable(OVERRIDE) !== 'thread' ? LIBUV_ENGINE : THREAD_ENGINE;

/** The bytes of the batch that is being delivered. Shared by all channels of this environment, as the two below. */
export const slab: Uint8Array = new Uint8Array(BATCH_BYTES);
/** Its records (see {@link RECORD}), and the acknowledge word at the end. */
export const records: Int32Array = new Int32Array(BATCH_MESSAGES * RECORD.size + 1);
/** Its descriptors. */
export const arrived: Int32Array = new Int32Array(BATCH_DESCRIPTORS);

const ACKNOWLEDGE = records.length - 1;

/** What a batch brings besides the shared arrays: the one message that did not fit them, always the last. */
export interface Oversized {
  readonly bytes: Uint8Array | undefined;
  readonly fds: Int32Array | undefined;
}

/** The receiver of what the binding says about one channel. */
export interface Endpoint {
  onBatch(count: number, oversized: Oversized): void;
  onEvent(event: number, a: number, b: unknown): void;
}

// Looked up once: the object of the binding is a slow one.
const { channelCloseBatch } = native;

const endpoints: (Endpoint | undefined)[] = [];
const nothingOversized: Oversized = { bytes: undefined, fds: undefined };
let prepared = false;

/** How many descriptors may wait to be handed out in one channel, so that reading ahead does not use up the process's limit. */
export const room: { fds: number; fdsForAcknowledgement: number } = {
  /** As a rule. */
  fds: BATCH_DESCRIPTORS,
  /** While an acknowledgement is waited for, which comes behind everything that is in the socket. */
  fdsForAcknowledgement: BATCH_DESCRIPTORS,
};

/** More than this a socket does not hold: 277 of the smallest sends, 253 descriptors each. */
const MOST_IN_A_SOCKET = 277 * 253;

/** Prepares this environment (a thread has its own) for channels, once. */
export function prepareEnvironment(): void {
  if (prepared) return;
  const share = native.channelSetup(engine, slab, records, arrived, onBatch, onEvent);
  room.fds = Math.min(BATCH_DESCRIPTORS, share);
  // One batch more may come.
  room.fdsForAcknowledgement = Math.max(room.fds, Math.min(MOST_IN_A_SOCKET, 2 * share - BATCH_DESCRIPTORS));
  prepared = true;
}

/** What concerns `handle` goes to `endpoint` from now on. */
export function register(handle: number, endpoint: Endpoint): void {
  endpoints[handle] = endpoint;
}

/** To be called before the handle dies: its number is given again. */
export function unregister(handle: number): void {
  endpoints[handle] = undefined;
}

function onBatch(
  handle: number,
  count: number,
  big: Uint8Array | undefined,
  bigFds: Int32Array | undefined,
): void {
  // Without this word the binding takes it that no JavaScript ran, and closes the descriptors of the batch.
  records[ACKNOWLEDGE] = 1;
  const oversized =
    big === undefined && bigFds === undefined ? nothingOversized : { bytes: big, fds: bigFds };
  const endpoint = endpoints[handle];
  if (endpoint === undefined) closeBatch(oversized);
  else endpoint.onBatch(count, oversized);
}

function onEvent(handle: number, event: number, a: number, b: unknown): void {
  endpoints[handle]?.onEvent(event, a, b);
}

/** How many entries of {@link arrived} a batch of `count` messages uses. */
export function descriptorsOf(count: number): number {
  for (let at = (count - 1) * RECORD.size; at >= 0; at -= RECORD.size) {
    const offset = records[at + RECORD.fdOffset] as number;
    const fds = records[at + RECORD.fdCount] as number;
    if (fds > 0 && offset >= 0) return offset + fds;
  }
  return 0;
}

/** Closes what is still in the batch; entries that were taken or put aside are -1. */
export function closeBatch({ fds }: Oversized = nothingOversized): void {
  channelCloseBatch();
  if (fds !== undefined) native.closeMany(fds, 0, fds.length);
}
