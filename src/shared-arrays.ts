import { native } from './native.js';
import { SHEET, SHORT_BYTES } from './native-types.js';

/** Room for the numbers of one message; more is allocated for channels that carry more. */
const NUMBERS = 256;
/** One more than any peer can send on Linux: macOS accepts 254. */
const FD_ROOM = 254;
const BUFFER_BYTES = 64 * 1024;
const POOL_BYTES = 64 * SHORT_BYTES;

/**
 * Where the numbers of the usual message are.
 *
 * @internal
 */
export const usual: Int32Array = new Int32Array(NUMBERS);

/**
 * What a call of the binding is asked, and what it answers ({@link SHEET}). Written right before the call: code of the
 * user that runs in between may send a message of its own.
 *
 * @internal
 */
export const sheet: Int32Array = new Int32Array(SHEET.length);

/**
 * The descriptors that arrived last.
 *
 * @internal
 */
export const arrived: Int32Array = new Int32Array(FD_ROOM);

/**
 * The bytes that arrived last.
 *
 * @internal
 */
export const buffer: Uint8Array = new Uint8Array(BUFFER_BYTES);

/**
 * The bytes of a short message on its way out. V8 keeps arrays up to this size in its own heap, and moves one out of it,
 * into memory allocated for it, when a native call asks where it is: copying is cheaper.
 *
 * @internal
 */
export const outgoing: Uint8Array = new Uint8Array(64);

/**
 * Where short messages are until somebody looks at them: an array of its own for each would be the dearest part of a
 * receive. As Node's own pool for buffers it lives as long as a message with bytes in it; but no user ever sees it.
 *
 * @internal
 */
export let pool: Uint8Array = new Uint8Array(POOL_BYTES);

/**
 * Where in the pool there is room.
 *
 * @internal
 */
export let pooled = 0;

const { socket: SOCKET, kind: KIND, count: COUNT, timeout: TIMEOUT } = SHEET;

native.messageSetup(usual, buffer, arrived, sheet, outgoing);
native.messagePool(pool);

/**
 * Writes into the {@link sheet} what a call for one message is asked.
 *
 * @internal
 */
export function ask(socket: number, kind: number, count: number, timeout: number): void {
  sheet[SOCKET] = socket;
  sheet[KIND] = kind;
  sheet[COUNT] = count;
  sheet[TIMEOUT] = timeout;
}

/**
 * Makes room in the pool for a short message.
 *
 * @internal
 */
export function preparePool(): void {
  if (pooled + SHORT_BYTES > POOL_BYTES) renewPool();
}

function renewPool(): void {
  pool = new Uint8Array(POOL_BYTES);
  pooled = 0;
  native.messagePool(pool);
}

/**
 * Leaves the next `length` bytes of the pool to a message. Returns where they begin.
 *
 * @internal
 */
export function takeFromPool(length: number): number {
  const from = pooled;
  pooled += length;
  return from;
}
