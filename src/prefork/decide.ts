import { DECISION } from './native-types.js';
import type { IncomingConnection, PolicyFunction, Settings, WorkerView } from './options.js';
import { peerAt } from './peer.js';
import { throwLater } from './uncaught.js';

const NOBODY = -2;
const ANYBODY = -1;

/** Connections that functions of the user decide about, as the binding gives them. */
export interface Undecided {
  readonly count: number;
  readonly records: Int32Array;
  readonly seen: Uint8Array;
}

/** Asks `admit` and the policy function about each connection, and writes the answers into the records. */
export function decide(
  { policy, admit }: Settings,
  { count, records, seen }: Undecided,
  views: WorkerView[],
  listenerName: (listener: number) => string,
): void {
  let offset = 0;
  for (let index = 0; index < count; index++) {
    const at = index * DECISION.size;
    const length = records[at + DECISION.seen] ?? 0;
    const firstBytes = seen.subarray(offset, offset + length);
    offset += length;
    const peer = peerAt(records, at + DECISION.peer);
    const answer = at + DECISION.answer;
    if (typeof admit === 'function' && !asked(() => admit(peer), true)) {
      records[answer] = NOBODY;
    } else if (typeof policy === 'function') {
      const listener = listenerName(records[at + DECISION.listener] ?? 0);
      records[answer] = chosen(policy, { peer, listener, firstBytes }, views);
    }
  }
}

function chosen(policy: PolicyFunction, connection: IncomingConnection, views: WorkerView[]): number {
  const index = asked(() => policy(connection, views), undefined);
  const view = index === undefined ? undefined : views[index];
  if (view === undefined) return ANYBODY;
  // The next connection of this batch sees this one.
  views[view.index] = { ...view, active: view.active + 1 };
  return view.index;
}

/** A function that throws must not cost a connection: the error is an uncaught one, and `otherwise` is the answer. */
function asked<T>(question: () => T, otherwise: T): T {
  try {
    return question();
  } catch (error) {
    throwLater(error);
    return otherwise;
  }
}
