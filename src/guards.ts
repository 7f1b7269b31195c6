import { native } from './native.js';
import type { Guard } from './safety-net.js';

/** Stands for the descriptor of an `Fd` that was garbage-collected. */
export class FdGuard implements Guard {
  number: number;
  /** Whether the number was handed out: it may be someone else's by now, so that it must not be closed. */
  exposed: boolean;
  readonly #stack: string | undefined;

  constructor(number: number, exposed: boolean, stack: string | undefined) {
    this.number = number;
    this.exposed = exposed;
    this.#stack = stack;
  }

  forgotten(): void {
    const { number } = this;
    if (number < 0) return;
    this.number = -1;
    if (this.exposed) native.letGo(number);
    else native.closeFd(number);
    const rest = this.exposed
      ? 'It stays open, because its number was handed out: call close() or release()'
      : 'It is closed now: call close(), or declare it with `using`';
    warnForgotten(`An Fd with the descriptor ${number}`, rest, this.#stack);
  }
}

/** Stands for the numbers of a message that was garbage-collected; what was taken, kept or closed is -1 there. */
export class NumbersGuard implements Guard {
  readonly #numbers: Int32Array;
  readonly #from: number;
  readonly #to: number;
  readonly #remedy: string;
  readonly #stack: string | undefined;

  constructor(numbers: Int32Array, from: number, to: number, remedy: string, stack: string | undefined) {
    this.#numbers = numbers;
    this.#from = from;
    this.#to = to;
    this.#remedy = remedy;
    this.#stack = stack;
  }

  forgotten(): void {
    const open = this.#numbers.subarray(this.#from, this.#to).filter((number) => number >= 0).length;
    if (open === 0) return;
    native.closeMany(this.#numbers, this.#from, this.#to);
    const what = `A message with ${open} descriptors nobody took`;
    warnForgotten(what, `They are closed now: ${this.#remedy}`, this.#stack);
  }
}

/** Tells that a descriptor was forgotten. `rest` says what was done about it. */
function warnForgotten(what: string, rest: string, stack: string | undefined): void {
  process.emitWarning(`${what} was garbage-collected while open. ${rest}`, {
    type: 'FdpassWarning',
    code: 'FDPASS_FORGOTTEN',
    detail: stack === undefined ? 'Run with FDPASS_DEBUG=1 to see where it was made' : `Made\n${stack}`,
  });
}
