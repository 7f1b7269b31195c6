import { refusal } from '../errors.js';
import { type FdInfo, kindInWords } from '../inspect.js';
import { runtime } from '../runtime.js';

/** The refusal of a descriptor that a conversion cannot use; it stays with its owner. */
export function wrongKind(operation: string, expected: string, info: FdInfo): Error {
  const message = `Cannot convert with ${operation}(): it needs ${expected}, and the descriptor is ${kindInWords(info)}. It stays with its Fd: ask describe() first, and convert it as what it is`;
  return refusal('ERR_FDPASS_KIND', message);
}

/** The refusal of a conversion that this runtime's `node:` modules cannot do. */
export function unsupportedHere(operation: string, remedy: string): Error {
  const message = `Cannot convert with ${operation}(): ${runtime} does not take over such a descriptor. ${remedy}`;
  return refusal('ERR_FDPASS_UNSUPPORTED_RUNTIME', message);
}
