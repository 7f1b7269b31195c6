import { refusal } from './errors.js';

/**
 * Passed by the package to its own constructors: `private` holds for TypeScript only, and `new Fd(3)` in JavaScript would
 * own a number that nobody checked.
 *
 * @internal
 */
export const OWN: unique symbol = Symbol('fdpass.own');

/** @internal */
export function checkOwn(key: unknown, what: string, instead: string): void {
  if (key !== OWN) refuse(what, instead);
}

function refuse(what: string, instead: string): never {
  throw refusal('ERR_FDPASS_INVALID_ARGUMENT', `Cannot make ${what} with new: use ${instead}`);
}
