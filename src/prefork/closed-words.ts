import { native } from '../native.js';

/** How many slots one message names at most. */
const MOST = 256;

/** Connections that were closed, told to the manager in one message a turn of the loop. */
export class ClosedWords {
  readonly #handle: number;
  readonly #slots = new Int32Array(MOST);
  #count = 0;
  #asked = false;
  readonly #send: () => void = () => this.send();

  constructor(handle: number) {
    this.#handle = handle;
  }

  /** Tells it at the end of this turn. */
  add(slot: number): void {
    if (this.#count === MOST) this.send();
    this.#slots[this.#count++] = slot;
    if (this.#asked) return;
    this.#asked = true;
    setImmediate(this.#send);
  }

  /** Tells it now. */
  send(): void {
    this.#asked = false;
    if (this.#count === 0) return;
    native.workerClosed(this.#handle, this.#slots, this.#count);
    this.#count = 0;
  }
}
