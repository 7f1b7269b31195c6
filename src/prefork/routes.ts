import { refusal, shown } from '../errors.js';

/** Who gets the connections of which of the manager's listeners. */
export class Routes<T> {
  readonly #names: readonly string[];
  /** By the place of a listener; one that is not there goes to `#others`. */
  readonly #byPlace: (T | undefined)[] = [];
  #others: T | undefined;

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** `listener`: a name, which several listeners may have; all that nobody else has when there is none. */
  set(target: T, listener: string | undefined): void {
    // Without this every connection would be closed, as of a listener that nobody serves.
    if (typeof target !== 'object' && typeof target !== 'function')
      throw refusal(
        'ERR_FDPASS_INVALID_ARGUMENT',
        `Cannot take connections with ${shown(target)}: give a function`,
      );
    if (listener === undefined) {
      this.#others = target;
      return;
    }
    if (!this.#names.includes(listener))
      throw refusal(
        'ERR_FDPASS_INVALID_ARGUMENT',
        `Cannot serve the listener '${listener}': the manager's are ${this.#names.map((name) => `'${name}'`).join(', ')}`,
      );
    for (const [place, name] of this.#names.entries()) if (name === listener) this.#byPlace[place] = target;
  }

  get(listener: number): T | undefined {
    return this.#byPlace[this.#place(listener)] ?? this.#others;
  }

  nameOf(listener: number): string {
    return this.#names[this.#place(listener)] ?? '';
  }

  /** With the strategy `kernel` every worker has a listener at each place. */
  #place(listener: number): number {
    return listener % this.#names.length;
  }
}
