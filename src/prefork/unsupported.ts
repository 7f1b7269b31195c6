import { refusal } from '../errors.js';
import { runtime } from '../runtime.js';

/** The refusal of what this runtime's `node:` modules cannot do. */
export function unsupportedHere(what: string, remedy: string): Error {
  return refusal('ERR_FDPASS_UNSUPPORTED_RUNTIME', `Cannot ${what}: ${runtime} cannot do it. ${remedy}`);
}
