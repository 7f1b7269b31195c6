import type { ChildProcess, SpawnOptions, StdioOptions } from 'node:child_process';
import type { AnyChannelOptions, BytesChannelOptions, ValueChannelOptions } from './channel/types.js';
import { type Channel, channelOn } from './channel.js';
import { wrongOption } from './check-options.js';
import { calling } from './errors.js';
import { type Fd, needNumber, ownNumber } from './fd.js';
import { native } from './native.js';
import { channelVariables } from './parent.js';

/** A child process and the channel to it. */
export interface ChildWithChannel<T = Uint8Array> {
  readonly child: ChildProcess;
  readonly channel: Channel<T>;
}

const STREAM = 1;

/** The descriptors that every program expects. */
const STANDARD = 3;

/**
 * Starts a program with a channel to it. In Node the child calls `Channel.fromParent()`; any other program finds the
 * number of its socket in the environment variable `FDPASS_CHANNEL_FD` and speaks the protocol of `docs/protocol.md`.
 *
 * `stdio` and `env` are as for `spawn`; the socket comes after what `stdio` lists.
 *
 * @throws {FdpassError} `EMFILE` — this process is at its descriptor limit
 * @throws {FdpassError} `ERR_FDPASS_INVALID_ARGUMENT` — a wrong option of the channel, or no list of arguments
 * @example
 * ```ts
 * import { spawnWithChannel } from 'fdpass';
 *
 * const program = `
 *   import { Channel } from 'fdpass';
 *   const channel = Channel.fromParent({ codec: 'json' });
 *   const message = await channel.receive();
 *   await channel.send({ answer: message.data.question + 1 });
 *   await channel.close();
 * `;
 * const { channel } = spawnWithChannel<{ answer?: number; question?: number }>(
 *   process.execPath,
 *   ['--input-type=module', '--eval', program],
 *   { codec: 'json', stdio: 'inherit' },
 * );
 * await channel.send({ question: 41 });
 * const message = await channel.receive();
 * console.log(message?.data.answer); // 42
 * await channel.close();
 * ```
 */
export function spawnWithChannel<T = unknown>(
  command: string,
  args: readonly string[],
  options: SpawnOptions & ValueChannelOptions<T>,
): ChildWithChannel<T>;
/** Starts a program with a channel of bytes to it. Throws as the form with a codec does. */
export function spawnWithChannel(
  command: string,
  args?: readonly string[],
  options?: SpawnOptions & BytesChannelOptions,
): ChildWithChannel;
export function spawnWithChannel<T>(
  command: string,
  args: readonly string[] = [],
  options: SpawnOptions & AnyChannelOptions<T> = {},
): ChildWithChannel<T> {
  // Node would take an object for the options, and start the program without its channel.
  if (!Array.isArray(args))
    throw wrongOption('spawn', 'args', args, 'an array of strings; options come third');
  const [here, there] = calling(() => native.socketPair(STREAM)).map((number) => ownNumber(number)) as [
    Fd,
    Fd,
  ];
  try {
    const channel = channelOn(here, options, true);
    try {
      const socket = needNumber('spawn', there);
      const { stdio, number } = withSocket(options.stdio, socket);
      const env = { ...(options.env ?? process.env), ...channelVariables(number, socket) };
      // Loaded here and not by `import`: most programs start nobody, and would pay for it.
      const { spawn } = process.getBuiltinModule('node:child_process');
      return { child: spawn(command, args, { ...options, stdio, env }), channel };
    } catch (error) {
      channel.destroy();
      throw error;
    }
  } finally {
    // The child has its own by now; `here` is in the channel unless that failed.
    there.close();
    here.close();
  }
}

/** `stdio` with the socket behind it, and the number that it has in the child. */
function withSocket(stdio: StdioOptions = 'pipe', socket: number): { stdio: StdioOptions; number: number } {
  const listed = Array.isArray(stdio) ? [...stdio] : Array.from({ length: STANDARD }, () => stdio as 'pipe');
  while (listed.length < STANDARD) listed.push('pipe');
  return { stdio: [...listed, socket], number: listed.length };
}
