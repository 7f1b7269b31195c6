import { type FdpassError, type FdpassErrorCode, refusal } from '../errors.js';
import { DAMAGE } from '../native-types.js';

interface Wording {
  readonly code: FdpassErrorCode;
  text(sent: number, received: number): string;
}

const unknownDamage: Wording = {
  code: 'ERR_FDPASS_REFUSED',
  text: () => 'The message arrived damaged, and its descriptors were closed',
};

const wordings: Readonly<Record<number, Wording>> = {
  [DAMAGE.truncated]: {
    code: 'ERR_FDPASS_TRUNCATED',
    text: (sent, received) =>
      `The message lost descriptors: ${received} of ${sent} arrived (and were closed), because this process is at its descriptor limit. Raise RLIMIT_NOFILE or close some`,
  },
  [DAMAGE.refused]: {
    code: 'ERR_FDPASS_REFUSED',
    text: (sent) =>
      `A descriptor of the message is of a kind that \`accept.kinds\` does not name; all ${sent} were closed`,
  },
  [DAMAGE.tooMany]: {
    code: 'ERR_FDPASS_TOO_MANY_FDS',
    text: (sent, limit) =>
      `The message carried ${sent} descriptors and \`accept.maxFds\` is ${limit}; all were closed`,
  },
  [DAMAGE.tooLarge]: {
    code: 'ERR_FDPASS_TOO_LARGE',
    text: (sent, limit) =>
      `The message had ${sent} bytes and \`accept.maxMessageBytes\` is ${limit}; it was passed over`,
  },
  [DAMAGE.withdrawn]: {
    code: 'ERR_FDPASS_WITHDRAWN',
    text: (sent, received) =>
      `The sender could not go on with the message: ${received} of ${sent} descriptors arrived (and were closed)`,
  },
};

/** What a damaged message has in `error`. The two numbers mean what the kind of damage says. */
export function damageError(damage: number, sent: number, received: number): FdpassError {
  const { code, text } = wordings[damage] ?? unknownDamage;
  return refusal(code, text(sent, received), { sent, received });
}
