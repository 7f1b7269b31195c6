// The synchronous calls in one process: warms up, then measures.
// argv: descriptors, messages. Prints the seconds that the messages took, as the C loop does.
import { openSync } from 'node:fs';
import { Fd, receiveMessage, sendMessage, socketPair } from 'fdpass';

const [count = '1', messages = '1000'] = process.argv.slice(2);
const fds = Array.from({ length: Number(count) }, () => Fd.adopt(openSync('/dev/null', 'r')));
const [left, right] = socketPair();
const bytes = new Uint8Array(64);

loop(Math.min(20_000, Math.ceil(400_000 / fds.length)));
console.log(loop(Number(messages)));
for (const fd of [...fds, left, right]) fd.close();

function loop(length: number): number {
  const start = performance.now();
  for (let i = 0; i < length; i++) {
    sendMessage(left, bytes, fds);
    const message = receiveMessage(right);
    if (message?.fds.length !== fds.length) throw new Error('The message did not arrive whole');
    message.fds.close();
  }
  return (performance.now() - start) / 1000;
}
