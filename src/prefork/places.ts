import { calling } from '../errors.js';
import type { Fd } from '../fd.js';
import { native } from '../native.js';
import { moveIn, openPlace, type Place } from './listeners.js';
import type { Settings } from './options.js';

/** Where a manager listens, and what the binding knows of it. */
export class Places {
  #all: readonly Place[] = [];
  /** The place of each of the binding's listeners. */
  readonly #placeOf: number[] = [];
  /** Listening sockets of seats that were given up (strategy `kernel`). */
  readonly #spare: (readonly number[])[] = [];
  /** Those of a seat for which there were not enough descriptors: the next one gets them. */
  readonly #begun: number[] = [];

  async open({ listen, strategy }: Settings): Promise<void> {
    for (const [index, address] of listen.entries())
      this.#all = [...this.#all, await openPlace(address, index, strategy === 'kernel')];
  }

  get addresses(): { name: string; address: string; port: number | undefined }[] {
    return this.#all.map(({ name, address, port }) => ({ name, address, port }));
  }

  /** The name of the place that one of the binding's listeners is of. */
  nameOf(listener: number): string {
    return this.#all[this.#placeOf[listener] ?? -1]?.name ?? '';
  }

  /** The manager accepts from all of them (strategy `push`). */
  enter(handle: number): void {
    for (const [index, { sockets }] of this.#all.entries())
      for (const socket of sockets.splice(0)) this.#listen(handle, socket, index);
  }

  /** Listening sockets of one worker, at each place one: the manager accepts from them while it does not. */
  forSeat(handle: number): readonly number[] {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    for (const [at, place] of this.#all.entries())
      this.#begun[at] ??= this.#listen(handle, place.sockets.shift() ?? place.another(), at);
    return this.#begun.splice(0);
  }

  /**
   * Takes those of a seat back. Connections that wait in a closed socket would be reset: the manager empties it as long as
   * there is one.
   */
  takeBack(handle: number, listeners: readonly number[]): void {
    if (listeners.length === 0) return;
    for (const listener of listeners) native.preforkEnable(handle, listener, true);
    this.#spare.push(listeners);
  }

  /** Takes in who waits, and listens no more. */
  close(handle: number): void {
    for (const listener of this.#placeOf.keys()) native.preforkUnlisten(handle, listener);
    for (const place of this.#all) place.close();
  }

  /** Closes what was never listened with, and removes files. */
  remove(): void {
    for (const place of this.#all) {
      for (const socket of place.sockets) socket.close();
      place.close();
      place.unlink();
    }
  }

  #listen(handle: number, socket: Fd, place: number): number {
    const number = calling(() => native.preforkListen(handle, moveIn(socket), true));
    this.#placeOf[number] = place;
    return number;
  }
}
