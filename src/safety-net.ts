/** What is left to do when an owner was garbage-collected: closes or warns. Never throws, and never refers to the owner. */
export interface Guard {
  forgotten(): void;
}

/** Owners younger than this are looked at together; a program that never lets the loop turn meets the bound instead. */
const YOUNG = 1024;

/**
 * The last net under owners that were forgotten open.
 *
 * Registering with a `FinalizationRegistry` costs more than receiving a descriptor, so it is put off until the event loop
 * turns: what was closed by then, nearly everything, never pays. Least of all what was closed before the next came.
 */
export class SafetyNet<Owner extends object> {
  #newest: Owner | undefined;
  #young: Owner[] = [];
  #scheduled = false;
  readonly #isOpen: (owner: Owner) => boolean;
  readonly #guardOf: (owner: Owner) => Guard;
  readonly #registry: FinalizationRegistry<Guard> = new FinalizationRegistry((guard) => guard.forgotten());

  /** `guardOf` makes the guard of an owner that is still open. */
  constructor(isOpen: (owner: Owner) => boolean, guardOf: (owner: Owner) => Guard) {
    this.#isOpen = isOpen;
    this.#guardOf = guardOf;
  }

  /** Watches `owner` from the next turn of the loop on. */
  add(owner: Owner): void {
    const before = this.#newest;
    this.#newest = owner;
    if (!this.#scheduled) this.#schedule();
    if (before !== undefined && this.#isOpen(before)) this.#watch(before);
  }

  #watch(owner: Owner): void {
    if (this.#young.push(owner) >= YOUNG) this.#sweep();
  }

  #schedule(): void {
    this.#scheduled = true;
    const turn = setImmediate(() => {
      this.#scheduled = false;
      if (this.#newest !== undefined) this.#young.push(this.#newest);
      this.#newest = undefined;
      this.#sweep();
    });
    turn.unref?.();
  }

  #sweep(): void {
    const young = this.#young;
    this.#young = [];
    for (const owner of young) if (this.#isOpen(owner)) this.#registry.register(owner, this.#guardOf(owner));
  }
}
