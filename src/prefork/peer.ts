import { isIPv4, type Socket } from 'node:net';

/** The other end of an accepted connection. */
export type PeerAddress =
  | { readonly family: 'IPv4' | 'IPv6'; readonly address: string; readonly port: number }
  | { readonly family: 'unix' };

const MAPPED = '::ffff:';

/** The same of a connection that Node accepted: IPv4 in IPv6 is IPv4. */
export function peerOf({ remoteAddress: address, remotePort: port = 0 }: Socket): PeerAddress {
  if (address === undefined) return { family: 'unix' };
  if (isIPv4(address)) return { family: 'IPv4', address, port };
  const inner = address.startsWith(MAPPED) ? address.slice(MAPPED.length) : '';
  return isIPv4(inner) ? { family: 'IPv4', address: inner, port } : { family: 'IPv6', address, port };
}

/** Reads family, port and four words of an address, as the binding writes them. */
export function peerAt(words: Int32Array, at: number): PeerAddress {
  const family = words[at];
  if (family === 0) return { family: 'unix' };
  const port = words[at + 1] ?? 0;
  if (family === 4) {
    const word = words[at + 5] ?? 0;
    const address = [24, 16, 8, 0].map((shift) => (word >>> shift) & 255).join('.');
    return { family: 'IPv4', address, port };
  }
  return { family: 'IPv6', address: ipv6(words.subarray(at + 2, at + 6)), port };
}

/** RFC 5952: the longest run of zero groups is `::`. */
function ipv6(words: Int32Array): string {
  const groups = [...words].flatMap((word) => [(word >>> 16) & 0xffff, word & 0xffff]);
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = [...text.matchAll(/(?<=^|:)0(?::0)+(?=:|$)/g)].map(([run]) => run);
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  if (longest === '') return text;
  return text.replace(new RegExp(`(^|:)${longest}(:|$)`), '::');
}
