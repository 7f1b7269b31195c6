import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { ABSTRACT, parseAddress } from '../address.js';
import { calling, FdpassError, fromNative, refusal } from '../errors.js';
import { Fate, Fd, forgetNumber, ownNumber } from '../fd.js';
import { kindInWords } from '../inspect.js';
import { native } from '../native.js';
import { bindFile } from '../socket-file.js';
import type { ListenAddress, TcpListen, UnixListen } from './options.js';

const BACKLOG = 1024;
const REUSE_PORT = 1;
const IPV6_ONLY = 2;
/** The file of a Unix listener is for its owner. */
const MODE = 0o600;

/** A place where clients arrive: one listening socket, or one for each worker at the same address. */
export interface Place {
  readonly name: string;
  /** `host:port`, or the path. */
  readonly address: string;
  readonly port: number | undefined;
  /** The sockets; with the strategy `kernel` one for each worker, else one. */
  readonly sockets: Fd[];
  /** Another socket at the same address, for one more worker. */
  another(): Fd;
  /** Closes what is kept for further workers. */
  close(): void;
  /** Removes the file of a Unix listener. */
  unlink(): void;
}

/** Listens, `count` times at the same TCP address when `shared`. */
export async function openPlace(address: ListenAddress, index: number, shared: boolean): Promise<Place> {
  const name = address.name ?? String(index);
  if ('fd' in address) return given(Fd.duplicate(address.fd), name, shared);
  return 'path' in address ? unixPlace(address, name, shared) : tcpPlace(address, name, shared);
}

/** One socket for all: with `shared` each worker gets a copy of it. */
function given(fd: Fd, name: string, shared: boolean): Place {
  const info = fd.describe();
  if (!('listening' in info && info.listening)) {
    fd.close();
    throw refusal(
      'ERR_FDPASS_KIND',
      `Cannot listen on the descriptor: it is ${kindInWords(info)}, not a listening socket. It stays with its owner`,
    );
  }
  const port = info.kind === 'tcp' ? info.local?.port : undefined;
  return {
    name,
    address: `fd ${name}`,
    port,
    sockets: [shared ? fd.duplicate() : fd],
    another: () => fd.duplicate(),
    close: () => fd.close(),
    unlink: () => undefined,
  };
}

function unixPlace(listen: UnixListen, name: string, shared: boolean): Place {
  const where = parseAddress(listen.path);
  if (where instanceof Fd) throw new TypeError('a path is no descriptor');
  const { mode = MODE, backlog = BACKLOG } = listen;
  if (where.kind === ABSTRACT) {
    const fd = ownNumber(calling(() => native.listenUnix(where.kind, where.bytes, 0, backlog)));
    return { ...given(fd, name, shared), address: listen.path };
  }
  const { listener, unlink } = bindFile(where, mode, backlog, false);
  return { ...given(listener, name, shared), address: listen.path, unlink };
}

async function tcpPlace(listen: TcpListen, name: string, shared: boolean): Promise<Place> {
  const hosts = await numericHosts(listen.host);
  const flags = (shared ? REUSE_PORT : 0) | (listen.ipv6Only === true ? IPV6_ONLY : 0);
  const open = (host: string, port: number): Fd => openTcp(listen, host, port, flags);
  const [host, fd] = firstThatWorks(hosts, (candidate) => open(candidate, listen.port));
  const info = fd.describe();
  const port = (info.kind === 'tcp' ? info.local?.port : undefined) ?? listen.port;
  return {
    name,
    address: hostAndPort(host, port),
    port,
    sockets: [fd],
    another: () => (shared ? open(host, port) : fd.duplicate()),
    close: () => undefined,
    unlink: () => undefined,
  };
}

function openTcp(
  { backlog = BACKLOG, deferAccept = 0 }: TcpListen,
  host: string,
  port: number,
  flags: number,
): Fd {
  try {
    return ownNumber(native.listenTcp(Buffer.from(host), port, backlog, flags, Math.ceil(deferAccept)));
  } catch (thrown) {
    const error = fromNative(thrown);
    if (!(error instanceof FdpassError)) throw error;
    const { code, message, errno, syscall } = error;
    throw new FdpassError(code, `Cannot listen at ${hostAndPort(host, port)}: ${message}`, {
      errno,
      syscall,
    });
  }
}

function hostAndPort(host: string, port: number): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

async function numericHosts(host: string | undefined): Promise<readonly string[]> {
  if (host === undefined) return ['::', '0.0.0.0'];
  return [isIP(host) === 0 ? await addressOf(host) : host];
}

async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    const { code = 'ENOTFOUND', errno, syscall, message } = cause as NodeJS.ErrnoException;
    throw new FdpassError(code, `Cannot listen at ${host}: ${message}`, { cause, errno, syscall });
  }
}

/** Without a host: IPv6 for both families, and IPv4 where there is no IPv6. */
function firstThatWorks(hosts: readonly string[], open: (host: string) => Fd): [string, Fd] {
  const last = hosts.length - 1;
  for (const [index, host] of hosts.entries()) {
    try {
      return [host, open(host)];
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (index === last || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
    }
  }
  throw new TypeError('there is at least one host');
}

/** The number of a descriptor that moves into the binding. */
export function moveIn(fd: Fd): number {
  return forgetNumber(fd, Fate.channel);
}
