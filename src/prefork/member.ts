import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { calling, refusal } from '../errors.js';
import { type Fd, ownNumber } from '../fd.js';
import { native } from '../native.js';
import { CHANNEL_VARIABLE, IDENTITY_VARIABLE } from '../parent.js';
import { moveIn } from './listeners.js';
import type { Settings } from './options.js';

/** What a worker is told of itself, as JSON in its environment. */
export const WORKER_VARIABLE = 'FDPASS_WORKER';

/** The value of {@link WORKER_VARIABLE}. */
export interface WorkerFacts {
  readonly index: number;
  readonly strategy: 'push' | 'kernel';
  /** The names of the listeners, by their numbers. */
  readonly listeners: readonly string[];
}

const STREAM = 1;
const STANDARD = 3;

/** One run of one worker. */
export class Member {
  readonly index: number;
  readonly child: ChildProcess;
  /** The binding's name of it. */
  readonly id: number;
  state: 'starting' | 'ready' | 'draining' | 'dead' = 'starting';
  /** Settles when it is ready, or has ended before that. */
  readonly ready: Promise<boolean>;
  /** Settles when its process has ended. */
  readonly ended: Promise<void>;
  /** Why there is no process, if there is none. */
  failure: Error | undefined;
  settleReady: (ready: boolean) => void = () => undefined;
  settleEnded: () => void = () => undefined;
  readonly #timers = new Set<NodeJS.Timeout>();

  private constructor(index: number, child: ChildProcess, id: number) {
    this.index = index;
    this.child = child;
    this.id = id;
    child.once('error', (error) => {
      if (child.pid === undefined) this.failure = error;
    });
    this.ready = new Promise((resolve) => {
      this.settleReady = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.settleEnded = resolve;
    });
  }

  /** Starts a process with the worker's end of a socket pair; the manager's end goes to the binding. */
  static start(manager: number, facts: WorkerFacts, settings: Settings): Member {
    const [here, there] = calling(() => native.socketPair(STREAM)).map((number) => ownNumber(number)) as [
      Fd,
      Fd,
    ];
    try {
      const child = spawnWorker(there, facts, settings);
      // A process that could not be started; told by 'exit' like any other end.
      child.on('error', () => undefined);
      const weight = settings.weights?.[facts.index] ?? 1;
      const id = calling(() => native.preforkHire(manager, moveIn(here), facts.index, weight));
      return new Member(facts.index, child, id);
    } finally {
      there.close();
      here.close();
    }
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Ends the process: asks first when there is time for that. */
  end(grace: number): void {
    if (grace > 0) {
      this.child.kill('SIGTERM');
      this.after(grace, () => this.kill());
    } else {
      this.kill();
    }
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  /** Does something later unless the process has ended by then. */
  after(milliseconds: number, what: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      what();
    }, milliseconds);
    // The process it is about keeps this one alive.
    timer.unref();
    this.#timers.add(timer);
  }

  /** Its process has ended. */
  buried(): void {
    this.state = 'dead';
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.settleReady(false);
    this.settleEnded();
  }
}

function spawnWorker(socket: Fd, facts: WorkerFacts, settings: Settings): ChildProcess {
  const { stdio = 'inherit', cwd, uid, gid } = settings;
  const listed = Array.isArray(stdio) ? [...stdio] : Array.from({ length: STANDARD }, () => stdio as 'pipe');
  while (listed.length < STANDARD) listed.push('inherit');
  const env = {
    ...(settings.env ?? process.env),
    [CHANNEL_VARIABLE]: String(listed.length),
    // That of a channel to a process further up, if there is one.
    [IDENTITY_VARIABLE]: undefined,
    [WORKER_VARIABLE]: JSON.stringify(facts),
  };
  const [command, args] = commandOf(settings);
  return spawn(command, args, {
    stdio: [...listed, socket.fd],
    env,
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
}

function commandOf({ worker, args = [], execArgv = process.execArgv }: Settings): [string, string[]] {
  if (typeof worker === 'object' && 'command' in worker) return [worker.command, [...(worker.args ?? [])]];
  return [process.execPath, [...execArgv, pathOf(worker), ...args]];
}

function pathOf(file: URL | string): string {
  return file instanceof URL || file.startsWith('file:') ? fileURLToPath(file) : file;
}

/**
 * Says at once what every worker would end of. Node looks for the module of a process as `require()` does for a path.
 *
 * @throws {FdpassError} `ERR_FDPASS_WORKER` — there is no such module
 */
export function checkModule({ worker, cwd = '' }: Settings): void {
  if (typeof worker === 'object' && 'command' in worker) return;
  const path = resolve(pathOf(cwd), pathOf(worker));
  try {
    createRequire(path).resolve(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') return;
    const message = `Cannot start workers: there is no module ${path}. Give its path, or new URL('./worker.js', import.meta.url)`;
    throw refusal('ERR_FDPASS_WORKER', message, { cause });
  }
}
