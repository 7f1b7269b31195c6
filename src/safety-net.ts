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
 * turns: what was closed by then, nearly everything, never pays.
 */
export class SafetyNet<Owner extends object> {
  #young: Owner[] = [];
  #scheduled = false;
  readonly #guardOf: (owner: Owner) => Guard | undefined;
  readonly #registry: FinalizationRegistry<Guard> = new FinalizationRegistry((guard) => guard.forgotten());

  /** `guardOf` makes the guard of an owner that is still open, and returns `undefined` for one that needs none. */
  constructor(guardOf: (owner: Owner) => Guard | undefined) {
    this.#guardOf = guardOf;
  }

  /** Watches `owner` from the next turn of the loop on. */
  add(owner: Owner): void {
    if (this.#young.push(owner) >= YOUNG) this.#sweep();
    else if (!this.#scheduled) this.#schedule();
  }

  #schedule(): void {
    this.#scheduled = true;
    const turn = setImmediate(() => {
      this.#scheduled = false;
      this.#sweep();
    });
    turn.unref?.();
  }

  #sweep(): void {
    const young = this.#young;
    this.#young = [];
    for (const owner of young) {
      const guard = this.#guardOf(owner);
      if (guard !== undefined) this.#registry.register(owner, guard);
    }
  }
}

/** Tells that a descriptor was forgotten. `rest` says what was done about it. */
export function warnForgotten(what: string, rest: string, stack: string | undefined): void {
  process.emitWarning(`${what} was garbage-collected while open. ${rest}`, {
    type: 'FdpassWarning',
    code: 'FDPASS_FORGOTTEN',
    detail: stack === undefined ? 'Run with FDPASS_DEBUG=1 to see where it was made' : `Made\n${stack}`,
  });
}
