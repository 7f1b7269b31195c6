// The receiving half of fdpass.ts: counts and closes, answers when a series is through.
// argv: style ('message' | 'iterate' | 'echo')
import { Channel, type Message } from 'fdpass';

const style = process.argv[2];
const channel = Channel.fromParent();
// The sender ends without a goodbye when it has what it wants.
channel.on('error', () => process.exit());
let left = 0;
let fds = 0;

/** A message of 4 bytes announces the length of the next series; all others are of the series. */
function take(message: Message<Uint8Array>): void {
  if (message.data.length === 4) {
    left = new DataView(message.data.buffer, message.data.byteOffset).getUint32(0);
    fds = 0;
    return;
  }
  fds += message.fds.length;
  left -= 1;
  if (left === 0) channel.post(String(fds));
}

if (style === 'message') {
  channel.on('message', take);
} else if (style === 'echo') {
  channel.on('message', (message) => {
    // Lent back: the message still owns its descriptors, and closes them when this returns.
    if (message.data.length > 4) channel.post(message.data, message.fds);
  });
} else {
  for await (const message of channel) take(message);
}
