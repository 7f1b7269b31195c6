/** Ends with open, busy channels, in the way that its argument names. */
import { channelPair, Fd } from 'fdpass';

const [, , way] = process.argv;
const fds = [0, 1].map((number) => Fd.duplicate(number));
const [left, right] = channelPair();
let seen = 0;

function fill(): void {
  while (!left.closed && left.post('x', fds));
}

// Channels that were never used wait for nothing, and do not keep the process alive.
if (way !== 'unused') {
  left.on('drain', fill);
  right.on('message', () => {
    seen += 1;
    if (seen !== 200) return;
    if (way === 'exit') process.exit(7);
    if (way === 'throw') throw new Error('thrown on purpose');
    left.unref();
    right.unref();
  });
  fill();
}
