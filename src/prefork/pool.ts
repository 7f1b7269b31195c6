import { refusal } from '../errors.js';
import { native } from '../native.js';
import { Member } from './member.js';
import type { Settings } from './options.js';
import type { Places } from './places.js';
import { newSeat, pauseAfter, type Seat } from './seat.js';

/** How long a worker that was told to end has before it is killed. */
const GRACE = 2000;
/** How often a worker may end before it is ready while `start` waits. */
const START_ATTEMPTS = 3;

/** What a pool needs of its manager. */
export interface PoolContext {
  readonly settings: Settings;
  readonly places: Places;
  /** The binding's name of the manager; 0 when it is closed there. */
  readonly handle: () => number;
  /** Whether dead workers are to be replaced. */
  readonly isRunning: () => boolean;
  /** A worker could not be started for now. */
  readonly pressure: (errno: string) => void;
  readonly crashLoop: (index: number) => void;
}

/** How the process of a worker ended. */
export interface Exit {
  readonly index: number;
  readonly pid: number | undefined;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The worker processes of a manager: who sits where, who is on the way in or out. */
export class WorkerPool {
  readonly #context: PoolContext;
  readonly #seats: Seat[] = [];
  readonly #members = new Map<number, Member>();
  /** Ends of workers whose inheritance was not told yet, by the binding's name of them. */
  readonly #exits = new Map<number, Exit>();

  constructor(context: PoolContext) {
    this.#context = context;
  }

  /** Where workers are to be, by index. */
  get seats(): readonly Seat[] {
    return this.#seats;
  }

  /** A worker by the binding's name of it. */
  member(id: number): Member | undefined {
    return this.#members.get(id);
  }

  /** How a worker ended, once: when the binding tells what became of its connections. */
  takeExit(id: number): Exit | undefined {
    const exit = this.#exits.get(id);
    this.#exits.delete(id);
    return exit;
  }

  /** Grows or shrinks. Resolves when new workers are ready; surplus ones finish on their own. */
  async resize(workers: number): Promise<void> {
    const added: Seat[] = [];
    while (this.#seats.length < workers) {
      const seat = this.#newSeat(this.#seats.length);
      this.#seats.push(seat);
      this.#hire(seat);
      added.push(seat);
    }
    for (const seat of this.#seats.splice(workers)) this.#retire(seat);
    await Promise.all(added.map((seat) => this.#started(seat)));
  }

  /** Starts a new worker for each seat; when all are ready they take the seats, and the old ones finish. */
  async replaceAll(needRunning: () => void): Promise<void> {
    const fresh: [Seat, Member][] = [];
    try {
      for (const seat of [...this.#seats]) fresh.push([seat, this.#start(seat)]);
      await Promise.all(fresh.map(([, { ready }]) => ready));
      needRunning();
      // One that was ready may have ended while another one started.
      const failed = fresh.find(([, { state }]) => state === 'dead');
      if (failed !== undefined) throw notReady(failed[0].index, 1, failed[1].failure);
    } catch (error) {
      for (const [, member] of fresh) member.kill();
      throw error;
    }
    for (const [seat, member] of fresh) this.#replace(seat, member);
  }

  /** Nobody is replaced any longer. */
  hold(): void {
    for (const seat of this.#seats) clearTimeout(seat.timer);
  }

  /** Has everybody finish within `timeout`, or ends them at once; resolves when all that they left was told. */
  async end(timeout: number): Promise<void> {
    const members = [...this.#members.values()];
    for (const member of members) {
      if (timeout > 0) this.#finish(member, false, timeout);
      else member.kill();
    }
    await Promise.all(members.map((member) => member.ended));
    // What the last ones left is told before the end.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#exits.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** A worker has said that it can take connections. `false`: that is known, or comes too late. */
  ready(member: Member): boolean {
    if (member.state !== 'starting') return false;
    member.state = 'ready';
    const seat = this.#seats[member.index];
    if (seat?.member === member) {
      seat.crashes = 0;
      // It accepts from its sockets itself now.
      this.accept(member, false);
    }
    member.settleReady(true);
    return true;
  }

  /** Whether the manager accepts from the sockets of a worker itself (strategy `kernel`). */
  accept(member: Member, on: boolean): void {
    const seat = this.#seats[member.index];
    if (seat?.member !== member) return;
    this.#enable(seat, on);
  }

  /** It has finished. */
  drained(member: Member): void {
    member.end(GRACE);
  }

  /** A live process without a channel serves nobody; what it holds is judged when it has ended. */
  lostChannel(member: Member): void {
    member.after(GRACE, () => member.kill());
  }

  #newSeat(index: number): Seat {
    const { settings, places, handle } = this.#context;
    return newSeat(index, settings.strategy === 'kernel' ? places.forSeat(handle()) : []);
  }

  #enable(seat: Seat, on: boolean): void {
    for (const listener of seat.listeners) native.preforkEnable(this.#context.handle(), listener, on);
  }

  #start(seat: Seat): Member {
    const { settings, places } = this.#context;
    const handle = this.#context.handle();
    const facts = {
      index: seat.index,
      strategy: settings.strategy,
      listeners: places.addresses.map(({ name }) => name),
    };
    const member = Member.start(handle, facts, settings);
    this.#members.set(member.id, member);
    // A process that could not be started has no 'exit'.
    if (member.pid === undefined) setImmediate(() => this.#onExit(seat, member, null, null));
    else member.child.once('exit', (code, signal) => this.#onExit(seat, member, code, signal));
    member.after(settings.readyTimeout, () => {
      if (member.state === 'starting') member.kill();
    });
    if (seat.listeners.length > 0) native.preforkGive(handle, member.id, Int32Array.from(seat.listeners));
    return member;
  }

  #hire(seat: Seat): void {
    seat.timer = undefined;
    try {
      seat.member = this.#start(seat);
    } catch (error) {
      // At the descriptor limit: workers that end, and connections that close, make room.
      this.#context.pressure((error as NodeJS.ErrnoException).code ?? 'UNKNOWN');
      seat.crashes += 1;
      seat.failure = error as Error;
      seat.timer = setTimeout(() => this.#hire(seat), this.#context.settings.respawn.delay);
    }
  }

  /** The first readiness of a seat. */
  async #started(seat: Seat): Promise<void> {
    while (this.#context.isRunning()) {
      const { member } = seat;
      if (member !== undefined && (await member.ready)) return;
      if (seat.crashes >= START_ATTEMPTS) throw notReady(seat.index, seat.crashes, seat.failure);
      if (this.#seats[seat.index] !== seat) return;
      if (member === seat.member) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #onExit(seat: Seat, member: Member, code: number | null, signal: NodeJS.Signals | null): void {
    if (member.state === 'dead') return;
    const { state } = member;
    const handle = this.#context.handle();
    if (handle !== 0) {
      // The manager serves the queue of the dead one's sockets.
      this.accept(member, true);
      native.preforkDied(handle, member.id);
    }
    member.buried();
    this.#members.delete(member.id);
    this.#exits.set(member.id, { index: seat.index, pid: member.pid, code, signal });
    if (seat.member !== member) return;
    seat.member = undefined;
    seat.failure = member.failure;
    if (!this.#context.isRunning() || this.#seats[seat.index] !== seat || state === 'draining') return;
    this.#respawn(seat, state === 'ready');
  }

  #respawn(seat: Seat, wasReady: boolean): void {
    const { respawn } = this.#context.settings;
    seat.restarts += 1;
    seat.crashes = wasReady ? 0 : seat.crashes + 1;
    if (seat.crashes === 0) {
      this.#hire(seat);
      return;
    }
    if (seat.crashes === respawn.maxCrashes) this.#context.crashLoop(seat.index);
    seat.timer = setTimeout(() => this.#hire(seat), pauseAfter(seat.crashes, respawn));
  }

  #replace(seat: Seat, member: Member): void {
    const { drainTimeout } = this.#context.settings;
    if (this.#seats[seat.index] !== seat) {
      // Scaled down meanwhile: the seat was given up, and its sockets may be another one's.
      this.#finish(member, true, drainTimeout);
      return;
    }
    const old = seat.member;
    clearTimeout(seat.timer);
    seat.member = member;
    seat.crashes = 0;
    this.#enable(seat, false);
    if (old !== undefined) this.#finish(old, true, drainTimeout);
  }

  /** A seat is given up: its worker finishes, idle connections go to others. */
  #retire(seat: Seat): void {
    const { places, settings, handle } = this.#context;
    clearTimeout(seat.timer);
    places.takeBack(handle(), seat.listeners);
    if (seat.member !== undefined) this.#finish(seat.member, true, settings.drainTimeout);
  }

  #finish(member: Member, handBack: boolean, timeout: number): void {
    if (member.state === 'dead') return;
    if (member.state === 'starting') {
      member.kill();
      return;
    }
    member.state = 'draining';
    try {
      native.preforkDrain(this.#context.handle(), member.id, handBack, timeout);
    } catch {
      // Its channel is over: nothing is left to tell it.
      member.end(GRACE);
      return;
    }
    member.after(timeout + 50, () => member.end(GRACE));
  }
}

function notReady(index: number, times: number, cause: Error | undefined): Error {
  const reason =
    cause === undefined
      ? `Worker ${index} ended before it was ready (${times} times): see what it wrote to its standard error`
      : `Cannot start worker ${index} (tried ${times} times): ${cause.message}`;
  return refusal('ERR_FDPASS_WORKER', reason, cause === undefined ? {} : { cause });
}
