// smoke.mjs PATH COMMAND...: passes 300 descriptors to a second process, which COMMAND starts. The receiver writes into
// each descriptor which one it is.
import { spawn } from 'node:child_process';
import { Fd, receiveMessage, sendMessage, socketPair } from 'fdpass';

const COUNT = 300;
const HALF = COUNT / 2;
const [path, ...command] = process.argv.slice(2);

if (command.length === 0) receiver();
else sender();

function sender() {
  const [ours, theirs] = socketPair('seqpacket');
  const args = [...command.slice(1), import.meta.filename, path];
  const child = spawn(command[0], args, { stdio: ['ignore', 'inherit', 'inherit', theirs.fd] });
  theirs.close();
  const pairs = Array.from({ length: COUNT }, () => socketPair());
  const ends = pairs.map(([, end]) => end);
  sendMessage(ours, 'the first half', ends.slice(0, HALF), { transfer: true });
  sendMessage(ours, 'the second half', ends.slice(HALF), { transfer: true });
  child.once('exit', (code) => {
    for (const [index, [end]] of pairs.entries()) check(end, index);
    console.log(`${COUNT} of ${COUNT} descriptors arrived, each the right one`);
    process.exitCode = code;
  });
}

function receiver() {
  const socket = Fd.adopt(3);
  let index = 0;
  while (index < COUNT) {
    const message = receiveMessage(socket, { timeout: 10_000 });
    for (const fd of message.fds) {
      fd.writeSync(new TextEncoder().encode(`number ${index++}`));
      fd.close();
    }
  }
}

function check(fd, index) {
  const buffer = new Uint8Array(32);
  const text = new TextDecoder().decode(buffer.subarray(0, fd.readSync(buffer)));
  if (text !== `number ${index}`) throw new Error(`Descriptor ${index} says ${JSON.stringify(text)}`);
  fd.close();
}
