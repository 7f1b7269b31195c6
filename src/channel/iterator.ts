import type { FdpassError } from '../errors.js';
import type { Message } from '../message.js';
import type { ArrivedMessage } from './arrived-message.js';
import type { Inbox } from './inbox.js';

type Result<T> = IteratorResult<Message<T>, undefined>;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** The messages of a channel for a `for await` loop. By hand: an async generator costs two and a half times as much. */
export class MessageIterator<T> implements AsyncIterableIterator<Message<T>> {
  readonly #inbox: Inbox<T>;
  #current: ArrivedMessage<T> | undefined;
  #state: 'new' | 'running' | 'over' = 'new';

  constructor(inbox: Inbox<T>) {
    this.#inbox = inbox;
  }

  next(): Promise<Result<T>> {
    if (this.#state !== 'running') {
      if (this.#state === 'over') {
        // A codec left the loop while it decoded the last message.
        this.#replace(undefined);
        return Promise.resolve(DONE);
      }
      try {
        this.#inbox.startIterating();
      } catch (error) {
        return Promise.reject(error);
      }
      this.#state = 'running';
    }
    this.#replace(undefined);
    const message = this.#inbox.takeNow();
    if (message === undefined) return this.#wait();
    this.#replace(message);
    return Promise.resolve({ done: false, value: message });
  }

  /** Leaving the loop releases its message and closes nothing else. */
  return(): Promise<Result<T>> {
    const running = this.#state === 'running';
    this.#over();
    if (running) this.#inbox.dismissWaiters();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wait(): Promise<Result<T>> {
    return new Promise((resolve, reject) => {
      this.#inbox.wait({
        settle: (message) => {
          if (message === undefined) {
            this.#over();
            return resolve(DONE);
          }
          this.#replace(message);
          resolve({ done: false, value: message });
        },
        fail: (error: FdpassError) => {
          this.#over();
          reject(error);
        },
      });
    });
  }

  #replace(message: ArrivedMessage<T> | undefined): void {
    this.#current?.retire();
    this.#current = message;
    message?.watch();
  }

  #over(): void {
    this.#replace(undefined);
    if (this.#state === 'running') this.#inbox.stopIterating();
    this.#state = 'over';
  }
}
