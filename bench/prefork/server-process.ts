/** A server under test: its process, its workers, and what they have used of the processor. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

/** How a server is started. */
export interface ServerCommand {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A server that runs and is ready. */
export class ServerProcess {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** Starts the server and waits until it prints `ready`. */
  static async start({ command, args, env = {} }: ServerCommand, port: number): Promise<ServerProcess> {
    const child = spawn(command, args, {
      env: { ...process.env, WORKERS: '2', ...env, PORT: String(port) },
      stdio: ['ignore', 'pipe', process.env.FDPASS_BENCH_DEBUG === undefined ? 'ignore' : 'inherit'],
    });
    for (let text = ''; !text.includes('ready'); ) {
      const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
      text += chunk;
    }
    return new ServerProcess(child, port);
  }

  get workers(): number[] {
    const pid = String(this.#child.pid);
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return all.filter((name) => parentOf(name) === pid).map(Number);
  }

  /** Nanoseconds of processor time: of the manager, and of its workers that live. */
  cpu(): { manager: number; workers: number } {
    const sum = this.workers.map(cpuOf).reduce((total, time) => total + time, 0);
    return { manager: cpuOf(this.#child.pid ?? 0), workers: sum };
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }
}

function parentOf(pid: string): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[1];
  } catch {
    return undefined;
  }
}

/** schedstat counts nanoseconds; the ticks of `stat` are too coarse for a short run. */
function cpuOf(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const times = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8'));
    return times.reduce((total, text) => total + Number(text.split(' ')[0]), 0);
  } catch {
    return 0;
  }
}
