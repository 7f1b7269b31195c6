import { native } from '../native.js';
import type { Seat } from './seat.js';
import type { ManagerStats, WorkerStats } from './stats.js';

/** Reads the counts that the binding keeps. */
export class Figures {
  readonly #totals = new Float64Array(10);
  readonly #ofOne = new Float64Array(8);

  /** `handle` 0: there is no manager in the binding, and nothing was counted. */
  all(handle: number, seats: readonly Seat[]): ManagerStats {
    const totals = this.#totals;
    if (handle !== 0) native.preforkTotals(handle, totals);
    const at = (index: number): number => totals[index] ?? 0;
    return {
      accepted: at(0),
      refused: at(1),
      dropped: at(2),
      reassigned: at(3),
      replayed: at(4),
      closed: at(5),
      moved: at(6),
      held: at(7),
      waiting: at(8),
      accepting: at(9) === 1,
      workers: seats.map((seat) => this.of(handle, seat)),
    };
  }

  of(handle: number, { index, member, restarts }: Seat): WorkerStats {
    const figures = this.#ofOne.fill(0);
    if (member !== undefined && handle !== 0) native.preforkStats(handle, member.id, figures);
    const at = (figure: number): number => figures[figure] ?? 0;
    const accepted = at(0);
    return {
      index,
      pid: member?.pid,
      state: member?.state ?? 'dead',
      accepted,
      active: at(1),
      inFlight: at(2),
      available: at(4) === 1,
      load: at(7),
      restarts,
      handOff: { mean: accepted === 0 ? 0 : at(5) / accepted / 1000, max: at(6) / 1000 },
    };
  }
}
