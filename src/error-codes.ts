/** What a code means and what to do about it; `docs/errors.md` shows this table, and a test compares the two. */
export interface ErrorEntry {
  readonly meaning: string;
  readonly remedy: string;
}

/** Every code of the library that is not the name of an errno: the one table. */
export const ERROR_CODES = {
  ERR_FDPASS_ADDRESS_INVALID: {
    meaning: 'A socket path or abstract name is empty, or has a zero byte in it',
    remedy: 'Give a path, or an abstract name that begins with "\\0" (Linux)',
  },
  ERR_FDPASS_ADDRESS_TOO_LONG: {
    meaning: 'A socket path or abstract name does not fit an address (107 bytes on Linux, 103 on macOS)',
    remedy: 'Use a shorter path, or one relative to the working directory',
  },
  ERR_FDPASS_BAD_FD: {
    meaning:
      'A value is not the number of an open descriptor, or the number is owned by another `Fd` already',
    remedy: 'Give a number from 0 to 2147483647 that is open, and adopt it once',
  },
  ERR_FDPASS_BUSY: {
    meaning: 'The object is in use in another way (a channel is consumed in two styles, or has spoken)',
    remedy: 'Use one style of consumption, or finish the other use first',
  },
  ERR_FDPASS_CODEC: {
    meaning: 'A value cannot be encoded or decoded, or the two sides use different codecs',
    remedy: 'Give both sides the same `codec`, and send what it can carry',
  },
  ERR_FDPASS_EMPTY_PAYLOAD: {
    meaning:
      'Descriptors were to be sent with zero bytes on a stream socket: the kernel would drop them in silence',
    remedy: 'Send at least one byte with them',
  },
  ERR_FDPASS_FD_CLOSED: {
    meaning:
      'The `Fd` (or the object that had the descriptor) does not have it any more: it was closed, released, moved by a send or converted',
    remedy: 'Use it before that, or keep a `duplicate()`; `FDPASS_DEBUG=1` tells where it was made',
  },
  ERR_FDPASS_FD_TAKEN: {
    meaning: 'The descriptor was taken out of its list before',
    remedy: 'Keep the `Fd` that `take()` returned the first time',
  },
  ERR_FDPASS_INTERNAL: {
    meaning: 'A bug of the library: a panic in its native part was caught',
    remedy: 'Report it with the message; descriptors of the failed call may be lost to this process',
  },
  ERR_FDPASS_INVALID_ARGUMENT: {
    meaning:
      'An argument or option has the wrong type or is out of range; the message names the value and the limit',
    remedy: 'Correct the call; nothing was sent, closed or moved',
  },
  ERR_FDPASS_INVALID_TRANSFER: {
    meaning:
      '`transfer` names something that is not among `fds`, that is there twice, or that can only be lent (a number, a `FileHandle`)',
    remedy: 'Move each `Fd` once and list it in `fds`; wrap a number with `Fd.adopt()`, or lend it',
  },
  ERR_FDPASS_KIND: {
    meaning:
      'The descriptor is of another kind than the operation needs (a file is no socket); it stays with its owner',
    remedy: 'Ask `describe()` first, and use the conversion of that kind',
  },
  ERR_FDPASS_MESSAGE_RELEASED: {
    meaning:
      'The descriptors of a message were touched after the message was released (the next one was asked for)',
    remedy: 'Take them before, or `keep()` the message',
  },
  ERR_FDPASS_NATIVE_MISSING: {
    meaning: 'The native part of the package is not installed, or does not load on this machine',
    remedy: 'Install anew on this machine with optional dependencies',
  },
  ERR_FDPASS_NEEDS_ACK: {
    meaning:
      'On macOS a socket that is moved must stay open here until it has arrived, and a raw send cannot know when',
    remedy: 'Send it through a channel, or lend it and close it when the receiver has answered',
  },
  ERR_FDPASS_NOT_SENDABLE: {
    meaning:
      'The value has no descriptor that could be sent safely (a TLS socket, unread or unwritten bytes, not open yet, no descriptor at all)',
    remedy: 'Follow the message: it names the reason and the way out',
  },
  ERR_FDPASS_NOT_UNIX_SOCKET: {
    meaning:
      'Descriptors were to cross a socket that is not a Unix domain socket: the kernel would drop them in silence',
    remedy: 'Use a Unix domain socket',
  },
  ERR_FDPASS_PEER_GONE: {
    meaning: 'The peer of a channel went away without saying goodbye',
    remedy: 'Treat the last messages as unconfirmed and connect anew',
  },
  ERR_FDPASS_TIMEOUT: {
    meaning: 'The time given ran out before the operation could finish',
    remedy: 'Try again, wait longer, or look why the peer does not answer',
  },
  ERR_FDPASS_TOO_MANY_FDS: {
    meaning: 'More descriptors than one message carries (253 for `sendMessage`, the limit of both systems)',
    remedy: 'Send several messages, or use a channel',
  },
  ERR_FDPASS_TRUNCATED: {
    meaning:
      'A message lost bytes or descriptors on its way in; everything that did arrive was closed, the bytes are in `error.data`',
    remedy: 'Give room (`maxBytes`, `maxFds`, RLIMIT_NOFILE), or receive with `truncation: "partial"`',
  },
  ERR_FDPASS_UNSUPPORTED: {
    meaning: 'This operating system does not have it (SEQPACKET, abstract names, SO_PASSCRED on macOS)',
    remedy: 'See `docs/platforms.md`',
  },
  ERR_FDPASS_UNSUPPORTED_PLATFORM: {
    meaning: 'The package has no binary for this platform (Windows cannot pass descriptors at all)',
    remedy: 'Import it on Linux and macOS only',
  },
  ERR_FDPASS_UNSUPPORTED_RUNTIME: {
    meaning:
      'This JavaScript runtime cannot make that object of a descriptor; the descriptor stays with its owner',
    remedy: 'See the table in `docs/convert.md`; `readSync` and `writeSync` work on every runtime',
  },
} as const;
