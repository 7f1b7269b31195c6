/** Bytes of the protocol, written by hand from `docs/protocol.md`: for peers that do not keep to it. */

const MAGIC = Buffer.from('89666470617373 0a'.replaceAll(' ', ''), 'hex');

export interface PreambleFields {
  readonly magic?: Uint8Array;
  readonly major?: number;
  readonly minor?: number;
  readonly codec?: number;
  readonly maxBytes?: number;
  readonly maxFds?: number;
}

/** What a side sends first. */
export function preamble(fields: PreambleFields = {}): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.set(fields.magic ?? MAGIC);
  bytes.writeUInt16LE(fields.major ?? 1, 8);
  bytes.writeUInt16LE(fields.minor ?? 0, 10);
  bytes.writeUInt32LE(fields.codec ?? 1, 16);
  bytes.writeUInt32LE(fields.maxBytes ?? 1 << 26, 20);
  bytes.writeUInt32LE(fields.maxFds ?? 1_000, 24);
  return bytes;
}

export const DATA = 0x01;
export const FIRST = 0x02;
export const NEXT = 0x03;
export const CANCEL = 0x04;
export const ACK = 0x10;
export const GOODBYE = 0x11;

export interface FrameFields {
  readonly length?: number;
  readonly flags?: number;
  readonly fds?: number;
}

/** One frame; the header may lie. */
export function frame(
  kind: number,
  id: number,
  payload: string | Uint8Array = '',
  fields: FrameFields = {},
): Buffer {
  const body = Buffer.from(payload as Uint8Array);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(fields.length ?? body.length, 0);
  header.writeUInt8(kind, 4);
  header.writeUInt8(fields.flags ?? 0, 5);
  header.writeUInt16LE(fields.fds ?? 0, 6);
  header.writeBigUInt64LE(BigInt(id), 8);
  return Buffer.concat([header, body]);
}

/** A whole message. */
export function dataFrame(id: number, payload: string | Uint8Array, fields?: FrameFields): Buffer {
  return frame(DATA, id, payload, fields);
}
