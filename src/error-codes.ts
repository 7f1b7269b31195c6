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
  ERR_FDPASS_CLOSED: {
    meaning: 'The channel or listener was closed on this side',
    remedy: 'Open a new one; what was not sent before is known by its rejected promise',
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
    remedy:
      'Report it with the message; descriptors of the failed call may be lost to this process. From the event loop it is an uncaught exception',
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
  ERR_FDPASS_NO_PARENT: {
    meaning: 'This process was not started by `spawnWithChannel()`, or the channel was taken already',
    remedy: 'Call `Channel.fromParent()` once, in the child itself',
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
  ERR_FDPASS_PEER_REFUSED: {
    meaning:
      'An acknowledged message did not arrive whole: the peer does not accept a descriptor of it, or could not take it',
    remedy: 'Send what the peer accepts',
  },
  ERR_FDPASS_PEER_TOO_LARGE: {
    meaning: 'An acknowledged message was larger than the peer accepts',
    remedy: 'Send less, or raise `accept.maxMessageBytes` there',
  },
  ERR_FDPASS_PEER_TOO_MANY_FDS: {
    meaning: 'An acknowledged message carried more descriptors than the peer accepts',
    remedy: 'Send fewer, or raise `accept.maxFds` there',
  },
  ERR_FDPASS_PEER_TRUNCATED: {
    meaning: 'An acknowledged message lost descriptors at the peer, which is at its descriptor limit',
    remedy: 'Send them again later; raise RLIMIT_NOFILE there',
  },
  ERR_FDPASS_PROTOCOL: {
    meaning: 'The peer does not keep to the protocol of channels, or speaks another one',
    remedy: 'Check that the other side is a channel too; for other protocols use raw calls',
  },
  ERR_FDPASS_QUEUE_FULL: {
    meaning: 'More messages wait for the peer than `maxQueued` allows; nothing was sent or moved',
    remedy: 'Wait for the promises or for drain, or raise `maxQueued`',
  },
  ERR_FDPASS_REFUSED: {
    meaning:
      'Descriptors of a message were refused: of a kind that `accept.kinds` does not name, or by the kernel',
    remedy: 'Accept the kind, or have the peer send another',
  },
  ERR_FDPASS_TIMEOUT: {
    meaning: 'The time given ran out before the operation could finish',
    remedy: 'Try again, wait longer, or look why the peer does not answer',
  },
  ERR_FDPASS_TOKEN: {
    meaning: 'A thread token is not known: it was claimed already, dropped, or is no token',
    remedy: 'Claim each token once',
  },
  ERR_FDPASS_TOO_LARGE: {
    meaning: 'A message has more bytes than the receiving side accepts',
    remedy: 'Send less, or raise `accept.maxMessageBytes` there',
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
  ERR_FDPASS_UNAUTHORIZED: {
    meaning: 'A connection was refused by `authorize` of the listener',
    remedy: 'Connect as the user it admits',
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
  ERR_FDPASS_VERSION: {
    meaning: 'The peer speaks another major version of the protocol of channels',
    remedy: 'Use versions of the library with the same major version of the protocol',
  },
  ERR_FDPASS_WITHDRAWN: {
    meaning:
      'A message with more than 253 descriptors was given up after its first bytes had left: the sender ran out of descriptors',
    remedy: 'Raise RLIMIT_NOFILE on the sending side, or queue less',
  },
  ERR_FDPASS_WORKER: {
    meaning: 'A worker of a manager ended before it was ready',
    remedy: 'See what the worker wrote to its standard error; it must call `serve()` or `onConnection()`',
  },
} as const;
