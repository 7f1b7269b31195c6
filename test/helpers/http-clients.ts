/** HTTP clients that retry nothing: what goes wrong is counted, not hidden. */
import { connect, type Socket } from 'node:net';

/** What became of a request. */
export type Outcome = 'ok' | 'refused' | 'reset' | 'eof' | 'hung' | 'bad';

export interface Answer {
  readonly outcome: Outcome;
  readonly worker: number;
  readonly milliseconds: number;
}

/** A request without an answer for so long hangs. */
const HUNG_MS = 8_000;

/** One connection, on which requests follow one another. */
export class Client {
  readonly socket: Socket;
  #text = '';
  #failed: Outcome | undefined;
  #changed: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (data) => {
      this.#text += data.toString();
      this.#changed();
    });
    this.socket.on('end', () => this.#fail('eof'));
    this.socket.on('close', () => this.#fail('eof'));
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#fail(error.code === 'ECONNREFUSED' ? 'refused' : 'reset');
    });
  }

  /** GET, answered whole or not. */
  async get(path = '/', keep = true): Promise<Answer> {
    const start = performance.now();
    this.#text = '';
    const connection = keep ? '' : 'Connection: close\r\n';
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${connection}\r\n`);
    let timer: NodeJS.Timeout | undefined;
    const hung = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#failed ??= 'hung';
        resolve();
      }, HUNG_MS);
    });
    while (!this.#complete() && this.#failed === undefined) {
      const changed = new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
      await Promise.race([changed, hung]);
    }
    clearTimeout(timer);
    const milliseconds = performance.now() - start;
    if (!this.#complete()) return { outcome: this.#failed ?? 'bad', worker: 0, milliseconds };
    const outcome = this.#text.startsWith('HTTP/1.1 200') ? 'ok' : 'bad';
    return { outcome, worker: Number(/x-worker: (\d+)/i.exec(this.#text)?.[1] ?? 0), milliseconds };
  }

  close(): void {
    this.socket.destroy();
  }

  #complete(): boolean {
    const end = this.#text.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const length = Number(/content-length: (\d+)/i.exec(this.#text)?.[1] ?? 0);
    return this.#text.length >= end + 4 + length;
  }

  #fail(outcome: Outcome): void {
    this.#failed ??= outcome;
    this.#changed();
  }
}

/** One request on a connection of its own. */
export async function request(port: number, path = '/'): Promise<Answer> {
  const client = new Client(port);
  try {
    return await client.get(path, false);
  } finally {
    client.close();
  }
}

/** Counts of outcomes, the slowest answer, and who answered. */
export interface Tally {
  readonly counts: Record<Outcome, number>;
  readonly errors: number;
  readonly slowest: number;
  readonly workers: Map<number, number>;
}

/** Clients that go on until told to stop. */
export class Load {
  readonly #answers: Answer[] = [];
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(port: number, clients: number, options: { path?: string; keep?: boolean } = {}) {
    const { path = '/', keep = false } = options;
    this.#loops = Array.from({ length: clients }, () =>
      keep ? this.#keep(port, path) : this.#short(port, path),
    );
  }

  get answered(): number {
    return this.#answers.length;
  }

  async stop(): Promise<Tally> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    const counts: Record<Outcome, number> = { ok: 0, refused: 0, reset: 0, eof: 0, hung: 0, bad: 0 };
    const workers = new Map<number, number>();
    let slowest = 0;
    for (const { outcome, worker, milliseconds } of this.#answers) {
      counts[outcome] += 1;
      slowest = Math.max(slowest, milliseconds);
      if (outcome === 'ok') workers.set(worker, (workers.get(worker) ?? 0) + 1);
    }
    return { counts, errors: this.#answers.length - counts.ok, slowest, workers };
  }

  async #short(port: number, path: string): Promise<void> {
    while (!this.#stopped) this.#answers.push(await request(port, path));
  }

  async #keep(port: number, path: string): Promise<void> {
    let client = new Client(port);
    while (!this.#stopped) {
      const answer = await client.get(path);
      this.#answers.push(answer);
      if (answer.outcome !== 'ok') {
        client.close();
        client = new Client(port);
      }
      // Between two requests a real client thinks: then its connection is idle.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    client.close();
  }
}
