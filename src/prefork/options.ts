import type { StdioOptions } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { refusal, shown } from '../errors.js';
import type { Fd } from '../fd.js';
import { MAX_INT } from '../limits.js';
import { PreforkConfig } from './native-types.js';
import type { PeerAddress } from './peer.js';

/** A TCP address to listen at. */
export interface TcpListen {
  /** 0: one that is free; `Manager.port` has it. */
  readonly port: number;
  /** A name or numeric address (`::`, and `0.0.0.0` where there is no IPv6). */
  readonly host?: string;
  /** An IPv6 address takes no IPv4 clients (`false`). */
  readonly ipv6Only?: boolean;
  /**
   * Connections are accepted when their first bytes are there, or after so many seconds (Linux). For protocols in which
   * the client speaks first only: HTTP does, SMTP does not.
   */
  readonly deferAccept?: number;
  /** How many clients may wait in the kernel (1,024). */
  readonly backlog?: number;
  /** What workers know the listener by. */
  readonly name?: string;
}

/** A Unix socket to listen at; the file is removed by `stop()`. */
export interface UnixListen {
  /** Of the file, or an abstract name (Linux). */
  readonly path: string;
  /** Permissions of the file (0o600). */
  readonly mode?: number;
  /** How many clients may wait in the kernel (1,024). */
  readonly backlog?: number;
  /** What workers know the listener by. */
  readonly name?: string;
}

/** A listening socket that somebody else made. It is copied; the given one stays with its owner. */
export interface GivenListen {
  /** The socket. */
  readonly fd: Fd | number;
  /** What workers know the listener by. */
  readonly name?: string;
}

/** Where a manager listens. */
export type ListenAddress = TcpListen | UnixListen | GivenListen;

/** A program that is no Node module: it finds its socket by `FDPASS_CHANNEL_FD` and speaks `docs/prefork.md`. */
export interface WorkerCommand {
  /** A path, or a name that is looked for in `PATH`. */
  readonly command: string;
  /** Its arguments. */
  readonly args?: readonly string[];
}

/** A ready-made policy. */
export type PolicyName = 'least-connections' | 'round-robin' | 'least-load' | 'sticky' | 'weighted';

/** A connection as a policy function sees it. */
export interface IncomingConnection {
  /** The client. */
  readonly peer: PeerAddress;
  /** The name of the listener. */
  readonly listener: string;
  /** With `peekBytes`: the first bytes, left in the connection. */
  readonly firstBytes: Uint8Array;
}

/** A worker as a policy function sees it. */
export interface WorkerView {
  /** Its place: stays when the worker is replaced. */
  readonly index: number;
  /** Connections it has. */
  readonly active: number;
  /** What it reported. */
  readonly load: number;
  /** Whether it can take a connection now. */
  readonly available: boolean;
}

/**
 * Chooses a worker by its index. A worker that cannot take the connection now gets it as soon as it can. `undefined`:
 * whoever has the fewest connections.
 */
export type PolicyFunction = (
  connection: IncomingConnection,
  workers: readonly WorkerView[],
) => number | undefined;

/** A token bucket for each client address. */
export interface AdmissionRate {
  /** Connections a second in the long run. */
  readonly rate: number;
  /** Connections at once. */
  readonly burst: number;
  /** How many addresses are remembered (65,536). */
  readonly addresses?: number;
}

/** How dead workers are started again. */
export interface RespawnOptions {
  /** The pause after the first exit before readiness, in milliseconds (100); it doubles with each further one. */
  readonly delay?: number;
  /** The longest pause (10,000). */
  readonly maxDelay?: number;
  /** After so many exits in a row before readiness, `'crashLoop'` is emitted and only every `maxDelay` is tried again (10). */
  readonly maxCrashes?: number;
}

/** How a {@link Manager} works. */
export interface ManagerOptions {
  /** Where clients arrive. */
  readonly listen: ListenAddress | readonly ListenAddress[];
  /** A Node module, or any command. */
  readonly worker: URL | string | WorkerCommand;
  /** How many (one for each processor). */
  readonly workers?: number;
  /**
   * `push` (default): the manager accepts and hands over. `kernel` (Linux): each worker accepts from a socket of its own
   * that shares the port; the manager serves the queue of one that is dead or starting.
   */
  readonly strategy?: 'push' | 'kernel';
  /** Who gets a connection (`least-connections`). */
  readonly policy?: PolicyName | PolicyFunction;
  /** For `weighted`: the share of each index (1). */
  readonly weights?: readonly number[];
  /**
   * `idempotent`: a GET or HEAD that a dead worker had read and not begun to answer goes to another worker, once. The
   * application must bear that a request is executed twice.
   */
  readonly replay?: 'idempotent' | false;
  /** How many first bytes the policy function sees, at most 4,096 (0). */
  readonly peekBytes?: number;
  /** How long they are waited for, in milliseconds (1,000). */
  readonly peekTimeout?: number;
  /** Who may come in at all: a rate for each client address, or a function, which answers at once. Not with `kernel`. */
  readonly admit?: AdmissionRate | ((peer: PeerAddress) => boolean);
  /** How many connections a worker may be sent that it has not confirmed (256). */
  readonly maxInFlight?: number;
  /** How many connections a worker may have (no limit). */
  readonly maxConnections?: number;
  /** How long a connection waits for a worker before it is closed, in milliseconds (10,000). */
  readonly waitTimeout?: number;
  /** A worker with work that is silent for so many milliseconds is killed (10,000); `false`: never. */
  readonly watchdog?: number | false;
  /** How long a worker may take to become ready, in milliseconds (30,000). */
  readonly readyTimeout?: number;
  /** How long a worker that is replaced or stopped may take to finish, in milliseconds (10,000). */
  readonly drainTimeout?: number;
  /** How dead workers are started again. */
  readonly respawn?: RespawnOptions;
  /** SIGTERM and SIGINT stop, SIGHUP and SIGUSR2 reload (`false`). */
  readonly signals?: boolean;
  /** Workers run as this user and group; the manager listens before that. */
  readonly uid?: number;
  /** See `uid`. */
  readonly gid?: number;
  /** Arguments of a worker module. */
  readonly args?: readonly string[];
  /** Options of Node for a worker module (those of this process). */
  readonly execArgv?: readonly string[];
  /** The environment of workers (that of this process). */
  readonly env?: NodeJS.ProcessEnv;
  /** Where workers run (where this process does). */
  readonly cwd?: string | URL;
  /** The standard streams of workers (`inherit`). */
  readonly stdio?: StdioOptions;
}

/** The options with every default in place. */
export interface Settings extends ManagerOptions {
  readonly listen: readonly ListenAddress[];
  readonly workers: number;
  readonly strategy: 'push' | 'kernel';
  readonly policy: PolicyName | PolicyFunction;
  readonly watchdog: number | false;
  readonly readyTimeout: number;
  readonly drainTimeout: number;
  readonly respawn: Required<RespawnOptions>;
}

/** How many connections a worker may be sent that it has not confirmed. */
export const DEFAULT_IN_FLIGHT = 256;
/** How many workers there may be. */
export const MOST_WORKERS = 1024;

/** In the order of the numbers that the binding knows them by. */
const POLICIES: readonly PolicyName[] = [
  'least-connections',
  'round-robin',
  'least-load',
  'sticky',
  'weighted',
];

/** @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — an option is wrong; the message names it */
export function settingsOf(options: ManagerOptions): Settings {
  if (typeof options !== 'object' || options === null)
    throw wrong('the argument', options, 'an object with listen and worker');
  const listen = Array.isArray(options.listen) ? options.listen : [options.listen as ListenAddress];
  if (listen.length === 0 || listen.some((address) => !isAddress(address)))
    throw wrong('listen', options.listen, 'one or more of { port }, { path } and { fd }');
  for (const address of listen) checkAddress(address);
  checkWorker(options.worker);
  const { replay = false } = options;
  // Nothing else may be taken for a yes or a no: requests are executed twice, or are lost.
  if (replay !== false && replay !== 'idempotent') throw wrong('replay', replay, "'idempotent' or false");
  const { workers = availableParallelism(), strategy = 'push', policy = 'least-connections' } = options;
  checkCount('workers', workers, 1, MOST_WORKERS);
  if (strategy !== 'push' && strategy !== 'kernel') throw wrong('strategy', strategy, "'push' or 'kernel'");
  if (strategy === 'kernel' && process.platform !== 'linux')
    throw refusal(
      'ERR_FDPASS_UNSUPPORTED',
      "Cannot use the strategy 'kernel' here: only Linux spreads connections over sockets that share a port. Use 'push'",
    );
  if (typeof policy !== 'function' && !POLICIES.includes(policy))
    throw wrong('policy', policy, `a function or one of ${POLICIES.join(', ')}`);
  // 0 is no number of these: nobody would ever be served.
  for (const name of ['maxInFlight', 'maxConnections', 'waitTimeout', 'peekTimeout'] as const)
    checkIf(name, options[name], 1, 0xffff_ffff);
  checkIf('peekBytes', options.peekBytes, 0, 4096);
  checkAdmit(options);
  checkWeights(options.weights);
  for (const name of ['uid', 'gid'] as const) checkIf(name, options[name], 0, 0xffff_ffff);
  checkFlag('signals', options.signals);
  checkSurroundings(options);
  const { watchdog = 10_000, readyTimeout = 30_000, drainTimeout = 10_000 } = options;
  if (watchdog !== false) checkCount('watchdog', watchdog, 10, 3_600_000);
  checkCount('readyTimeout', readyTimeout, 1, 3_600_000);
  checkCount('drainTimeout', drainTimeout, 0, 3_600_000);
  return {
    ...options,
    listen,
    workers,
    strategy,
    policy,
    watchdog,
    readyTimeout,
    drainTimeout,
    respawn: respawnOf(options.respawn),
  };
}

/** The numbers that the binding is given. */
export function configOf(settings: Settings): Float64Array {
  const { policy, admit, replay, watchdog, strategy } = settings;
  const config = new Float64Array(PreforkConfig.length);
  config[PreforkConfig.policy] = typeof policy === 'function' ? POLICIES.length : POLICIES.indexOf(policy);
  config[PreforkConfig.replay] = Number(replay === 'idempotent');
  config[PreforkConfig.maxInFlight] = settings.maxInFlight ?? DEFAULT_IN_FLIGHT;
  config[PreforkConfig.maxConnections] = settings.maxConnections ?? 0;
  config[PreforkConfig.watchdog] = watchdog === false ? 0 : watchdog;
  config[PreforkConfig.alwaysBeat] = Number(strategy === 'kernel');
  config[PreforkConfig.waitTimeout] = settings.waitTimeout ?? 0;
  config[PreforkConfig.peekBytes] = settings.peekBytes ?? 0;
  config[PreforkConfig.peekTimeout] = settings.peekTimeout ?? 0;
  config[PreforkConfig.ask] = Number(typeof admit === 'function');
  return config;
}

/** @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` */
export function checkCount(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw wrong(name, value, `an integer from ${least} to ${most}`);
}

function checkIf(name: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined) checkCount(name, value, least, most);
}

function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw wrong(name, value, 'true or false');
}

/** What Node would take apart letter by letter, or refuse once for every worker that starts. */
function checkSurroundings({ args, execArgv, env, cwd }: ManagerOptions): void {
  for (const [name, list] of Object.entries({ args, execArgv }))
    if (list !== undefined && !(Array.isArray(list) && list.every((item) => typeof item === 'string')))
      throw wrong(name, list, 'an array of strings');
  if (env !== undefined && (typeof env !== 'object' || env === null)) throw wrong('env', env, 'an object');
  if (cwd !== undefined && !(cwd instanceof URL)) checkText('cwd', cwd);
}

function checkText(name: string, value: unknown): void {
  if (value !== undefined && (typeof value !== 'string' || value === ''))
    throw wrong(name, value, 'a string with something in it');
}

function checkAddress(address: ListenAddress): void {
  checkText('name', address.name);
  if ('fd' in address) return;
  checkIf('backlog', address.backlog, 0, MAX_INT);
  if ('path' in address) {
    if (address.path === undefined) throw wrong('path', address.path, 'a path');
    checkText('path', address.path);
    const { mode } = address;
    if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o777))
      throw wrong('mode', mode, 'permissions from 0 to 0o777');
    return;
  }
  checkCount('port', address.port, 0, 65_535);
  checkText('host', address.host);
  checkFlag('ipv6Only', address.ipv6Only);
  const { deferAccept } = address;
  if (deferAccept !== undefined && !(deferAccept >= 0 && deferAccept <= 3600))
    throw wrong('deferAccept', deferAccept, 'a number of seconds from 0 to 3,600');
}

function checkAdmit({ admit, strategy }: ManagerOptions): void {
  if (admit === undefined) return;
  if (typeof admit === 'object' && admit !== null) {
    const { rate, burst, addresses } = admit;
    if (!(Number.isFinite(rate) && rate > 0)) throw wrong('admit.rate', rate, 'a number above 0');
    checkCount('admit.burst', burst, 1, MAX_INT);
    checkIf('admit.addresses', addresses, 1, MAX_INT);
  } else if (typeof admit !== 'function') {
    throw wrong('admit', admit, '{ rate, burst } or a function');
  }
  // To let in whom it would refuse is worse than not to start.
  if (strategy === 'kernel')
    throw refusal(
      'ERR_FDPASS_UNSUPPORTED',
      "Cannot use admit with the strategy 'kernel': workers accept by themselves. Use 'push'",
    );
}

function checkWeights(weights: ManagerOptions['weights']): void {
  if (weights === undefined) return;
  if (!Array.isArray(weights)) throw wrong('weights', weights, 'an array of integers');
  for (const [index, weight] of weights.entries()) checkCount(`weights[${index}]`, weight, 1, 1_000_000);
}

function respawnOf(respawn: RespawnOptions = {}): Required<RespawnOptions> {
  if (typeof respawn !== 'object' || respawn === null)
    throw wrong('respawn', respawn, '{ delay, maxDelay, maxCrashes }');
  const { delay = 100, maxDelay = 10_000, maxCrashes = 10 } = respawn;
  checkCount('respawn.delay', delay, 0, 3_600_000);
  checkCount('respawn.maxDelay', maxDelay, 0, 3_600_000);
  checkCount('respawn.maxCrashes', maxCrashes, 1, MAX_INT);
  return { delay, maxDelay, maxCrashes };
}

function checkWorker(worker: ManagerOptions['worker']): void {
  if (typeof worker === 'string' && worker !== '') return;
  if (worker instanceof URL && worker.protocol === 'file:') return;
  if (
    typeof worker === 'object' &&
    worker !== null &&
    'command' in worker &&
    typeof worker.command === 'string'
  )
    return;
  throw wrong('worker', worker, 'the path or file URL of a module, or { command, args }');
}

function isAddress(address: ListenAddress): boolean {
  return (
    typeof address === 'object' &&
    address !== null &&
    ('port' in address || 'path' in address || 'fd' in address)
  );
}

function wrong(name: string, value: unknown, expected: string): Error {
  return refusal(
    'ERR_FDPASS_INVALID_ARGUMENT',
    `Cannot run workers: ${name} is ${shown(value)}, not ${expected}`,
  );
}
