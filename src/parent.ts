import { refusal, shown } from './errors.js';
import { Fd } from './fd.js';
import { describeNumber } from './inspect.js';
import { PRESSURE } from './pressure.js';

/** Names the number of the child's end, in the environment of a process that `spawnWithChannel` started. */
export const CHANNEL_VARIABLE = 'FDPASS_CHANNEL_FD';

/**
 * Says which socket that is. A program in between that did not open its channel, or a thread that was started before,
 * hands the number on without the socket, and it may mean another one: Node's own channel to a forked child has 3, too.
 */
export const IDENTITY_VARIABLE = 'FDPASS_CHANNEL_ID';

/** What a child is told of `socket`, which it will have as `number`. */
export function channelVariables(number: number, socket: number): Record<string, string> {
  return { [CHANNEL_VARIABLE]: String(number), [IDENTITY_VARIABLE]: identityOf(number, socket) };
}

function identityOf(number: number, socket: number): string {
  const { device, inode } = describeNumber(socket);
  return `${number}:${device}:${inode}`;
}

/**
 * The socket that the parent left for this process. The variable is removed: children of this process do not have the
 * descriptor, and must not look for it.
 *
 * @throws {FdpassError} `ERR_FDPASS_NO_PARENT`
 */
export function inheritedSocket(environment: NodeJS.ProcessEnv = process.env): Fd {
  const text = environment[CHANNEL_VARIABLE];
  if (text === undefined) {
    const message = `Cannot open the channel to the parent: ${CHANNEL_VARIABLE} is not set. Start this program with spawnWithChannel(), and call fromParent() once`;
    throw refusal('ERR_FDPASS_NO_PARENT', message);
  }
  const identity = environment[IDENTITY_VARIABLE];
  delete environment[CHANNEL_VARIABLE];
  delete environment[IDENTITY_VARIABLE];
  if (!/^\d{1,10}$/.test(text)) {
    const message = `Cannot open the channel to the parent: ${CHANNEL_VARIABLE} is ${shown(text)}, not a number`;
    throw refusal('ERR_FDPASS_NO_PARENT', message);
  }
  const number = Number(text);
  const socket = Fd.adopt(number);
  // Of another number it is about another channel: whoever set the one knows nothing of the other.
  if (identity?.startsWith(`${number}:`) && identity !== identityOf(number, number)) {
    socket.release();
    const message = `Cannot open the channel to the parent: the descriptor ${number} is not the socket that ${CHANNEL_VARIABLE} was set for, which did not come along. Open the channel in the program that spawnWithChannel() starts, and in one thread`;
    throw refusal('ERR_FDPASS_NO_PARENT', message);
  }
  return socket;
}

/**
 * Opens the socket that the parent left. Where this process is short of descriptors or memory, the variables are there
 * again: a later call finds the socket, which nobody else would ever close.
 *
 * @throws {FdpassError} `ERR_FDPASS_NO_PARENT`
 */
export function openInherited<T>(open: (socket: Fd) => T): T {
  const { [CHANNEL_VARIABLE]: number, [IDENTITY_VARIABLE]: identity } = process.env;
  try {
    return open(inheritedSocket());
  } catch (error) {
    if (PRESSURE.has((error as { code?: unknown }).code)) {
      process.env[CHANNEL_VARIABLE] = number;
      if (identity !== undefined) process.env[IDENTITY_VARIABLE] = identity;
    }
    throw error;
  }
}
