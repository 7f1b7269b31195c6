/** Child programs of tests: started by name, their output collected, ended with the test. */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { atEndOfTest } from './cleanup.js';

/** The user that owns nothing ("nobody"): for what the kernel grants to no one but root. */
export const UNPRIVILEGED_UID = 65534;

export interface FixtureOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** As for `spawn`; 0, 1 and 2 are pipes unless said otherwise. */
  readonly stdio?: SpawnOptions['stdio'];
  /** Runs as uid and gid 65534; needs root. */
  readonly unprivileged?: boolean;
  /** Arguments of Node itself, as `--expose-gc`. */
  readonly execArgv?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The compiled path of `test/fixtures/<name>.ts`. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../../build/ts/test/fixtures/${name}.js`, projectTests()));
}

/** Starts a fixture by the name of its file. */
export function startFixture(
  name: string,
  args: readonly string[] = [],
  options: FixtureOptions = {},
): Child {
  return startProgram(process.execPath, [...(options.execArgv ?? []), fixturePath(name), ...args], options);
}

/** Starts any program; a Python peer, for one. */
export function startProgram(
  command: string,
  args: readonly string[] = [],
  options: FixtureOptions = {},
): Child {
  const user = options.unprivileged ? { uid: UNPRIVILEGED_UID, gid: UNPRIVILEGED_UID } : {};
  const env = { ...process.env, ...options.env };
  return new Child(spawn(command, args, { stdio: options.stdio ?? 'pipe', env, ...user }));
}

/** Whether there is Python: for peers in another language, and for calls that Node does not have. */
export function hasPython(): boolean {
  return spawnSync('python3', ['--version']).status === 0;
}

/** Whether this process may start unprivileged children. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** A running child: killed at the end of the test if it is still there. */
export class Child {
  readonly process: ChildProcess;
  /** Settles when the child is gone and its output is complete. */
  readonly exited: Promise<Exit>;
  #stdout = '';
  #stderr = '';

  constructor(child: ChildProcess) {
    this.process = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.exited = once(child, 'close').then(([code, signal]) => this.#exit(code, signal));
    // A child that cannot be started is reported by whoever waits for it, not as an unhandled rejection.
    this.exited.catch(() => undefined);
    atEndOfTest(() => this.kill().then(() => undefined));
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error(`Cannot start ${this.process.spawnfile}`);
    return this.process.pid;
  }

  /** Everything printed so far. */
  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The first line the child prints, without its end. Rejects with the child's errors when it ends before that. */
  async firstLine(): Promise<string> {
    return this.line(0);
  }

  /** The line with this index, as soon as it is complete. */
  async line(index: number): Promise<string> {
    for (;;) {
      const lines = this.#stdout.split('\n');
      const line = lines[index];
      if (line !== undefined && index < lines.length - 1) return line;
      await this.#moreOutput();
    }
  }

  /** Writes to the child's standard input. */
  write(text: string): void {
    this.process.stdin?.write(text);
  }

  /** Waits for the end and asserts that it was a clean one. */
  async succeeded(): Promise<string> {
    const { code, signal, stdout, stderr } = await this.exited;
    if (code !== 0) throw new Error(`The child ended with ${signal ?? code}:\n${stderr}${stdout}`);
    return stdout;
  }

  /** Ends the child at once (SIGKILL unless said otherwise) and waits until it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit | undefined> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    return this.exited.catch(() => undefined);
  }

  #exit(code: number | null, signal: NodeJS.Signals | null): Exit {
    return { code, signal, stdout: this.#stdout, stderr: this.#stderr };
  }

  async #moreOutput(): Promise<void> {
    const ended = this.exited.then(({ code, signal }) => {
      throw new Error(
        `The child ended with ${signal ?? code} before the line came:\n${this.#stderr}${this.#stdout}`,
      );
    });
    if (this.process.stdout === null) throw new Error('The child’s output is not a pipe');
    await Promise.race([once(this.process.stdout, 'data'), ended]);
  }
}

/** Where `test/helpers` is in the sources: this file also runs compiled, from `build/ts/test/helpers`. */
function projectTests(): string {
  return import.meta.url.replace('/build/ts/test/', '/test/');
}
