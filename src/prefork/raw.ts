import type { Socket } from 'node:net';
import { refusal } from '../errors.js';
import { Fd, ownNumber } from '../fd.js';
import { native } from '../native.js';
import type { ClosedWords } from './closed-words.js';
import { GIVEN, TO_ANY } from './native-types.js';
import { checkPassing, NOTHING } from './passing.js';
import { type PeerAddress, peerAt, peerOf } from './peer.js';

/** A connection taken raw, by `onConnection`. */
export interface ConnectionInfo {
  readonly peer: PeerAddress;
  /** The name of the manager's listener. */
  readonly listener: string;
  /** Bytes that come before what is in the socket: another worker had read them. */
  readonly prefix: Uint8Array;
  /** The connection is over: the manager closes its copy. Call it when you have closed yours. */
  done(): void;
  /**
   * Gives the connection to another worker (`undefined`: whoever is chosen), with bytes that were read of it.
   *
   * @throws {FdpassError} `ERR_FDPASS_UNSUPPORTED` — with the strategy `kernel`: the manager has no copy of it
   * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — no index of a worker, or more than 256 KiB
   */
  passOn(index?: number, prefix?: Uint8Array): void;
}

/** Takes a connection as a descriptor, which is its to close; then `info.done()` says so. */
export type RawHandler = (fd: Fd, info: ConnectionInfo) => void;

/** What raw connections need of their worker. */
export interface RawContext {
  /** The binding's name of the worker. */
  readonly handle: number;
  readonly closed: ClosedWords;
  readonly listenerName: (listener: number) => string;
  /** A connection is over here. */
  readonly over: () => void;
}

/** Connections that were taken as descriptors. */
export class RawConnections {
  readonly #context: RawContext;
  #open = 0;

  constructor(context: RawContext) {
    this.#context = context;
  }

  /** How many there are. */
  get open(): number {
    return this.#open;
  }

  /** One that the manager gave, as the binding tells of it. */
  take(handler: RawHandler | undefined, records: Int32Array, at: number, prefix?: Uint8Array): void {
    const { handle, closed, listenerName } = this.#context;
    const slot = records[at + GIVEN.slot] as number;
    const number = records[at + GIVEN.fd] as number;
    native.hold(number);
    const fd = ownNumber(number);
    if (handler === undefined) {
      // Nobody here serves that listener.
      fd.close();
      closed.add(slot);
      return;
    }
    const once = this.#counted();
    handler(fd, {
      peer: peerAt(records, at + GIVEN.peer),
      listener: listenerName(records[at + GIVEN.listener] as number),
      prefix: prefix ?? NOTHING,
      done: () => once(() => closed.add(slot)),
      passOn: (index, bytes = NOTHING) => {
        checkPassing(index, bytes);
        once(() => native.workerRelease(handle, slot, index ?? TO_ANY, bytes));
      },
    });
  }

  /** One that was accepted here (strategy `kernel`). */
  takeOwn(handler: RawHandler | undefined, socket: Socket, listener: number): void {
    const peer = peerOf(socket);
    const fd = handler && copyOf(socket);
    // Nothing was read from it, and destroying does not shut it down: it lives on in the copy.
    socket.destroy();
    if (handler === undefined || fd === undefined) return;
    const once = this.#counted();
    handler(fd, {
      peer,
      listener: this.#context.listenerName(listener),
      prefix: NOTHING,
      done: () => once(() => undefined),
      passOn: () => {
        throw refusal(
          'ERR_FDPASS_UNSUPPORTED',
          "Cannot pass the connection on: with the strategy 'kernel' the manager does not know it. Send its descriptor to the other worker",
        );
      },
    });
  }

  /** Counts a connection until something is done that ends it here; nothing is done twice. */
  #counted(): (what: () => void) => void {
    this.#open += 1;
    let over = false;
    return (what) => {
      if (over) return;
      over = true;
      this.#open -= 1;
      what();
      this.#context.over();
    };
  }
}

/** `undefined`: this process has no free descriptor. */
function copyOf(socket: Socket): Fd | undefined {
  try {
    return Fd.duplicate(socket);
  } catch {
    return undefined;
  }
}
