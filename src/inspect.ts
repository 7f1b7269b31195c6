import { calling } from './errors.js';
import { native } from './native.js';

/** An IP address with its port. */
export interface InetAddress {
  readonly address: string;
  readonly port: number;
  readonly family: 'IPv4' | 'IPv6';
}

/** What is known of every descriptor. */
export interface FdFacts {
  /** How it was opened. */
  readonly access: 'read' | 'write' | 'read-write';
  /** Whether calls on it return at once (`O_NONBLOCK`). Shared with every holder of a copy, in other processes too. */
  readonly nonblocking: boolean;
  /** `st_dev`: with {@link FdFacts.inode} the identity of what is behind the descriptor. */
  readonly device: bigint;
  /** `st_ino`. */
  readonly inode: bigint;
}

/** A descriptor whose kind says everything. */
export interface PlainInfo extends FdFacts {
  readonly kind:
    | 'file'
    | 'directory'
    | 'pipe'
    | 'tty'
    | 'memfd'
    | 'pidfd'
    | 'eventfd'
    | 'epoll'
    | 'device'
    | 'unknown';
}

/** A TCP socket. */
export interface TcpInfo extends FdFacts {
  readonly kind: 'tcp';
  /** Whether it accepts connections. */
  readonly listening: boolean;
  /** Its own address. */
  readonly local?: InetAddress;
  /** The peer's address, when it is connected. */
  readonly peer?: InetAddress;
}

/** A UDP socket. */
export interface UdpInfo extends FdFacts {
  readonly kind: 'udp';
  /** Its own address. */
  readonly local?: InetAddress;
  /** Where it is connected to, if it is. */
  readonly peer?: InetAddress;
}

/** A Unix domain socket. */
export interface UnixInfo extends FdFacts {
  readonly kind: 'unix';
  readonly socketType: 'stream' | 'datagram' | 'seqpacket';
  /** Whether it accepts connections. */
  readonly listening: boolean;
  /** The path it is bound to; absent for an abstract name, and for a socket without an address. */
  readonly path?: string;
  /** The abstract name it is bound to (Linux), without its leading zero byte. */
  readonly abstractName?: string;
}

/**
 * What a descriptor is, discriminated by `kind`.
 *
 * `memfd`, `pidfd`, `eventfd` and `epoll` are told on Linux with procfs; elsewhere they are `unknown` or `file`.
 */
export type FdInfo = PlainInfo | TcpInfo | UdpInfo | UnixInfo;

/** The words that {@link FdInfo} is discriminated by. */
export type FdKind = FdInfo['kind'];

/** What `fstat(2)` says, named as `fs.Stats` has it; times in milliseconds since 1970, sizes in bytes. */
export interface FdStats {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

type Native = ReturnType<typeof native.describe>;

/** Looks at a number that is open; reads nothing from it and changes nothing. */
export function describeNumber(fd: number): FdInfo {
  const found = calling(() => native.describe(fd));
  const facts = {
    access: found.access as FdFacts['access'],
    nonblocking: found.nonblocking,
    device: found.device,
    inode: found.inode,
  };
  const kind = found.kind as FdKind;
  if (kind === 'tcp') return { kind, ...facts, listening: found.listening ?? false, ...inetOf(found) };
  if (kind === 'udp') return { kind, ...facts, ...inetOf(found) };
  if (kind === 'unix') return { kind, ...facts, ...unixOf(found) };
  return { kind, ...facts };
}

/** The kind in words, for messages: what was found instead of what was needed. */
export function kindInWords(info: FdInfo): string {
  if (info.kind === 'tcp') return info.listening ? 'a listening TCP socket' : 'a TCP connection';
  if (info.kind === 'udp') return 'a UDP socket';
  if (info.kind === 'unix') return `a ${info.listening ? 'listening ' : ''}Unix ${info.socketType} socket`;
  if (info.kind === 'unknown') return 'of an unknown kind';
  return `a ${info.kind} opened to ${info.access}`;
}

function inetOf(found: Native): Pick<TcpInfo, 'local' | 'peer'> {
  const local = inetAddress(found.localAddress, found.localPort);
  const peer = inetAddress(found.peerAddress, found.peerPort);
  return { ...(local && { local }), ...(peer && { peer }) };
}

function inetAddress(address: string | undefined, port: number | undefined): InetAddress | undefined {
  if (address === undefined || port === undefined) return undefined;
  return { address, port, family: address.includes(':') ? 'IPv6' : 'IPv4' };
}

function unixOf(found: Native): Pick<UnixInfo, 'socketType' | 'listening' | 'path' | 'abstractName'> {
  return {
    socketType: found.socketType as UnixInfo['socketType'],
    listening: found.listening ?? false,
    ...(found.path !== undefined && { path: found.path }),
    ...(found.abstractName !== undefined && { abstractName: found.abstractName }),
  };
}
