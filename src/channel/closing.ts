import { native } from '../native.js';

const NOTHING: Int32Array = new Int32Array(0);

// One stretch of one batch at a time: as a rule messages are released in the order in which they came.
let numbers = NOTHING;
let from = 0;
let to = 0;
let scheduled = false;

/**
 * Closes the descriptors of a released message together with those of its neighbours: when the batch is over, when
 * a message that is no neighbour has its turn, or when the event loop turns, so that a peer that waits for the end of one
 * is not kept waiting. Entries that were taken are -1 and are passed over.
 */
export function closeSoon(batch: Int32Array, start: number, end: number): void {
  if (batch !== numbers || start !== to) {
    closeNow();
    numbers = batch;
    from = start;
  }
  to = end;
  if (end === batch.length) closeNow();
  else if (!scheduled) schedule();
}

function closeNow(): void {
  if (from < to) native.closeMany(numbers, from, to);
  numbers = NOTHING;
  from = 0;
  to = 0;
}

function schedule(): void {
  scheduled = true;
  setImmediate(() => {
    scheduled = false;
    closeNow();
  });
}
