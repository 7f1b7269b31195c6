import { refusal } from '../errors.js';
import { DECISION } from './native-types.js';
import {
  DEFAULT_IN_FLIGHT,
  type IncomingConnection,
  type ManagerOptions,
  type PolicyFunction,
  type Settings,
} from './options.js';
import { type PeerAddress, peerAt } from './peer.js';
import type { WorkerStats } from './stats.js';
import { throwLater } from './uncaught.js';

const NOBODY = -2;
const ANYBODY = -1;
const ADMITTED = -3;

type AdmitFunction = Extract<ManagerOptions['admit'], (...args: never) => unknown>;

/** Functions that answered by a promise, which was told. */
const promising = new WeakSet<AdmitFunction>();

/** Connections that functions of the user decide about, as the binding gives them. */
export interface Undecided {
  readonly count: number;
  readonly records: Int32Array;
  readonly seen: Uint8Array;
}

/** Asks `admit`, once for each connection, and the policy function about each connection, and writes the answers into the records. */
export function decide(
  settings: Settings,
  { count, records, seen }: Undecided,
  views: WorkerStats[],
  listenerName: (listener: number) => string,
): void {
  const { policy, admit } = settings;
  const chosen = (connection: IncomingConnection): number =>
    typeof policy === 'function' ? choose(policy, connection, views, settings) : ANYBODY;
  let offset = 0;
  for (let index = 0; index < count; index++) {
    const at = index * DECISION.size;
    const length = records[at + DECISION.seen] ?? 0;
    const firstBytes = seen.subarray(offset, offset + length);
    offset += length;
    const peer = peerAt(records, at + DECISION.peer);
    const answer = at + DECISION.answer;
    const isNew = records[answer] !== ADMITTED;
    if (isNew && typeof admit === 'function' && !asked(() => admitted(admit, peer), true)) {
      records[answer] = NOBODY;
    } else if (typeof policy === 'function') {
      const listener = listenerName(records[at + DECISION.listener] ?? 0);
      records[answer] = chosen({ peer, listener, firstBytes });
    }
  }
}

/** A promise is refused, as a stranger is: it would be taken for a yes before anybody has decided. Told once. */
function admitted(admit: AdmitFunction, peer: PeerAddress): boolean {
  const answer: unknown = admit(peer);
  if (typeof (answer as PromiseLike<unknown> | undefined | null)?.then !== 'function') return Boolean(answer);
  if (!promising.has(admit)) throwLater(wrongAnswer());
  promising.add(admit);
  return false;
}

function wrongAnswer(): Error {
  return refusal(
    'ERR_FDPASS_INVALID_ARGUMENT',
    'Cannot admit by a promise: admit must answer at once, with true or false. Nobody is admitted. Decide later, in the worker',
  );
}

function choose(
  policy: PolicyFunction,
  connection: IncomingConnection,
  views: WorkerStats[],
  { maxConnections = Infinity, maxInFlight = DEFAULT_IN_FLIGHT }: Settings,
): number {
  const index = asked(() => policy(connection, views), undefined);
  const view = index === undefined ? undefined : views[index];
  if (view === undefined) return ANYBODY;
  // The next connection of this batch sees this one.
  const [active, inFlight] = [view.active + 1, view.inFlight + 1];
  const available = view.available && active < maxConnections && inFlight < maxInFlight;
  views[view.index] = { ...view, active, inFlight, available };
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
