// Runs at a limit of 64 descriptors and is sent more than it has room for.
import { readdirSync } from 'node:fs';
import { receiveMessage, sendMessage, socketPair } from 'fdpass';

const [a, b] = socketPair();
sendMessage(a, 'one hundred', new Array(100).fill(a));
const before = count();
const message = receiveMessage(b, { truncation: 'partial' });
message.fds.close();
console.log(`${message.truncated.descriptors}, ${count() === before ? 'nothing' : 'something'} leaked`);

function count() {
  return readdirSync('/proc/self/fd').length;
}
