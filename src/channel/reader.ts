import type { Wire } from '../codec.js';
import { type FdpassError, fromNative } from '../errors.js';
import { DAMAGE, RECORD } from '../native-types.js';
import { ArrivedMessage } from './arrived-message.js';
import { damageError } from './damage.js';
import { arrived, descriptorsOf, type Oversized, records, slab } from './registry.js';

const NO_NUMBERS: Int32Array = new Int32Array(0);
const NO_BYTES: Uint8Array = new Uint8Array(0);

/** Message `index` of the batch that is being delivered; its descriptors are still in the shared array. */
export function readMessage<T>(index: number, wire: Wire<T>, oversized: Oversized): ArrivedMessage<T> {
  const at = index * RECORD.size;
  const message = readAt(at, wire, oversized);
  const pid = records[at + RECORD.pid] as number;
  if (pid >= 0) message.credentials = { pid, uid: unsigned(at + RECORD.uid), gid: unsigned(at + RECORD.gid) };
  return message;
}

function unsigned(at: number): number {
  return (records[at] as number) >>> 0;
}

function readAt<T>(at: number, wire: Wire<T>, oversized: Oversized): ArrivedMessage<T> {
  const damage = records[at + RECORD.damage] as number;
  if (damage !== DAMAGE.none) return readDamaged(at, damage, wire, oversized);
  const offset = records[at + RECORD.offset] as number;
  const length = records[at + RECORD.length] as number;
  const first = records[at + RECORD.fdOffset] as number;
  const count = records[at + RECORD.fdCount] as number;
  const inShared = first >= 0 || count === 0;
  const numbers = inShared ? arrived : (oversized.fds ?? NO_NUMBERS);
  const start = inShared ? first : 0;
  try {
    const data =
      offset >= 0 ? wire.read(slab, offset, offset + length) : wire.readOwn(oversized.bytes ?? NO_BYTES);
    return new ArrivedMessage(data, undefined, numbers, start, count);
  } catch (thrown) {
    // It cannot be handed out whole: its descriptors close with the batch, and reading `fds` says why.
    return new ArrivedMessage(undefined as T, fromNative(thrown) as FdpassError, numbers, start, count);
  }
}

/** Messages `from` and later, with their descriptors in an array of their own: for delivery after the batch. */
export function copyMessages<T>(
  from: number,
  count: number,
  wire: Wire<T>,
  oversized: Oversized,
): ArrivedMessage<T>[] {
  const first = descriptorsOf(from);
  const end = descriptorsOf(count);
  const own = end > first ? arrived.slice(first, end) : NO_NUMBERS;
  arrived.fill(-1, first, end);
  const messages: ArrivedMessage<T>[] = [];
  for (let index = from; index < count; index += 1) {
    const message = readMessage(index, wire, oversized);
    message.size = records[index * RECORD.size + RECORD.length] as number;
    if (isShared(index)) message.copiedTo(own, first);
    messages.push(message);
  }
  return messages;
}

/** Whether the descriptors of a message are in the shared array, and not in one that the batch brought for it. */
function isShared(index: number): boolean {
  return (records[index * RECORD.size + RECORD.fdOffset] as number) >= 0;
}

function readDamaged<T>(at: number, damage: number, wire: Wire<T>, { bytes }: Oversized): ArrivedMessage<T> {
  const error = damageError(
    damage,
    records[at + RECORD.sent] as number,
    records[at + RECORD.received] as number,
  );
  const offset = records[at + RECORD.offset] as number;
  const length = records[at + RECORD.length] as number;
  return new ArrivedMessage(
    valueOfDamaged(wire, offset >= 0 ? slab : (bytes ?? slab), Math.max(offset, 0), length),
    error,
    NO_NUMBERS,
    0,
    0,
  );
}

/** The bytes of a damaged message may be whole; a value that needs its descriptors is not. */
function valueOfDamaged<T>(wire: Wire<T>, memory: Uint8Array, start: number, length: number): T {
  if (wire.fromBytes !== undefined || length === 0) return undefined as T;
  try {
    return wire.read(memory, start, start + length);
  } catch {
    return undefined as T;
  }
}
