import { refusal, shown } from './errors.js';
import { Fd } from './fd.js';

/** Names the number of the child's end, in the environment of a process that `spawnWithChannel` started. */
export const CHANNEL_VARIABLE = 'FDPASS_CHANNEL_FD';

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
  delete environment[CHANNEL_VARIABLE];
  if (!/^\d{1,10}$/.test(text)) {
    const message = `Cannot open the channel to the parent: ${CHANNEL_VARIABLE} is ${shown(text)}, not a number`;
    throw refusal('ERR_FDPASS_NO_PARENT', message);
  }
  return Fd.adopt(Number(text));
}
