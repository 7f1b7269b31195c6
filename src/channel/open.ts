import { type Wire, wireIn } from '../codec.js';
import { calling } from '../errors.js';
import { Fate, type Fd, forgetNumber, needNumber } from '../fd.js';
import { native } from '../native.js';
import { configOf } from './config.js';
import { prepareEnvironment } from './registry.js';
import type { AnyChannelOptions } from './types.js';

/** The options of a channel, checked: a wrong one is refused before any socket changes hands. */
export interface Settings<T> {
  readonly wire: Wire<T>;
  readonly config: Float64Array;
  readonly acceptsDescriptors: boolean;
}

/** `ours`: the number of the socket was never shown. */
export function settingsOf<T>(options: AnyChannelOptions<T>, ours: boolean): Settings<T> {
  const wire = wireIn('open a channel', options);
  const config = configOf(options, wire.id, ours);
  return { wire, config, acceptsDescriptors: options.accept?.maxFds !== 0 };
}

/** Moves a connected socket into a channel and returns the channel's handle. One that is refused stays in its `Fd`. */
export function openChannel(socket: Fd, { config, acceptsDescriptors }: Settings<unknown>): number {
  prepareEnvironment();
  const number = needNumber('open a channel', socket);
  const handle = calling(() => native.channelOpen(number, config));
  forgetNumber(socket, Fate.channel);
  if (!acceptsDescriptors) refuseDescriptors(handle);
  return handle;
}

/** The same for an `Fd` that was made of a number for this: one that is refused is a number again, and stays open. */
export function openNumber(socket: Fd, settings: Settings<unknown>): number {
  try {
    return openChannel(socket, settings);
  } catch (error) {
    socket.release();
    throw error;
  }
}

/** Where the kernel can (Linux 6.16), the sender is told at once; elsewhere descriptors are closed as they come. */
function refuseDescriptors(handle: number): void {
  try {
    native.setPassRights(native.channelSocket(handle), false);
  } catch {
    // No such option here: the limit of the channel does it.
  }
}
