import { refusal, shown } from './errors.js';
import { Fd } from './fd.js';
import { native } from './native.js';

/**
 * Where a channel or a listener is.
 *
 * - a string: the path of a socket file, or an abstract name (Linux) when it begins with `'\0'`
 * - `{ path }`, `{ abstract }`: the same, spelled out; the abstract name without its zero
 * - an `Fd`: a socket that is connected (or listening) already; it is moved
 * - a number: an inherited descriptor of that kind; it is owned from then on
 */
export type Address = string | { readonly path: string } | { readonly abstract: string } | Fd | number;

/**
 * An address that has a name, as the binding takes it.
 *
 * @internal
 */
export interface Name {
  readonly kind: typeof PATH | typeof ABSTRACT;
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** @internal */
export const PATH = 0;
/** @internal */
export const ABSTRACT = 1;

/**
 * Tells the two sorts of addresses apart.
 *
 * @internal
 */
export function parseAddress(address: Address): Name | Fd {
  if (address instanceof Fd) return address;
  if (typeof address === 'number') return inherited(address);
  if (typeof address === 'string')
    return address.startsWith('\0') ? name(ABSTRACT, address.slice(1)) : name(PATH, address);
  if (typeof address === 'object' && address !== null) {
    if ('path' in address && typeof address.path === 'string') return name(PATH, address.path);
    if ('abstract' in address && typeof address.abstract === 'string')
      return name(ABSTRACT, address.abstract);
  }
  throw refusal(
    'ERR_FDPASS_ADDRESS_INVALID',
    `Cannot use ${shown(address)} as an address: give a path, { path }, { abstract }, an Fd or an inherited number`,
  );
}

function inherited(number: number): Fd {
  checkInherited(number);
  return Fd.adopt(number);
}

/**
 * Refuses a number that somebody may have taken for a port.
 *
 * @internal
 */
export function checkInherited(number: number): void {
  if (Number.isInteger(number) && number >= 0 && !native.isOpen(number)) {
    const message = `Cannot use ${number} as an address: no descriptor of that number is open here. A number is an inherited descriptor, never a port`;
    throw refusal('ERR_FDPASS_BAD_FD', message);
  }
}

/**
 * For messages: a path as it is.
 *
 * @internal
 */
export function addressInWords({ kind, text }: Name): string {
  return kind === PATH ? text : `the abstract name ${text}`;
}

/**
 * Another path with the same meaning of its bytes.
 *
 * @internal
 */
export function pathName(path: string): Name {
  return name(PATH, path);
}

function name(kind: Name['kind'], text: string): Name {
  if (text === '' || (kind === PATH && text.includes('\0'))) {
    const what = kind === PATH ? 'a socket path' : 'an abstract name';
    throw refusal(
      'ERR_FDPASS_ADDRESS_INVALID',
      `Cannot use ${shown(text)} as ${what}: it is empty or has a zero byte. Give a path, or an abstract name that begins with '\\0'`,
    );
  }
  return { kind, text, bytes: Buffer.from(text) };
}
