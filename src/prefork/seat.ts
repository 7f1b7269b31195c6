import type { Member } from './member.js';
import type { RespawnOptions } from './options.js';

/** The place of a worker: stays when its worker is replaced. */
export interface Seat {
  readonly index: number;
  member: Member | undefined;
  restarts: number;
  /** Ends before readiness in a row. */
  crashes: number;
  timer: NodeJS.Timeout | undefined;
  /** Why there was no process the last time, if there was none. */
  failure: Error | undefined;
  /** The binding's numbers of its own listening sockets (strategy `kernel`). */
  readonly listeners: readonly number[];
}

export function newSeat(index: number, listeners: readonly number[]): Seat {
  return {
    index,
    member: undefined,
    restarts: 0,
    crashes: 0,
    timer: undefined,
    failure: undefined,
    listeners,
  };
}

/** How long the next worker of a seat waits after so many ends before readiness, in milliseconds. */
export function pauseAfter(
  crashes: number,
  { delay, maxDelay, maxCrashes }: Required<RespawnOptions>,
): number {
  if (crashes === 0) return 0;
  return crashes >= maxCrashes ? maxDelay : Math.min(maxDelay, delay * 2 ** (crashes - 1));
}
