// smoke.mjs PATH COMMAND...: passes 300 descriptors to a second process, which COMMAND starts, over the socket PATH.
// Nothing is inherited: the two meet by name only. The receiver writes into each descriptor which one it is.
import { spawn } from 'node:child_process';
import { connect, listen, socketPair } from 'fdpass';

const COUNT = 300;
const [path, ...command] = process.argv.slice(2);

if (command.length === 0) await receiver();
else await sender();

async function sender() {
  const listener = await listen(path, { codec: 'json' });
  const args = [...command.slice(1), import.meta.filename, path];
  const child = spawn(command[0], args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for await (const channel of listener) {
    const pairs = Array.from({ length: COUNT }, () => socketPair());
    const theirs = pairs.map(([, end]) => end);
    await channel.send('here they are', theirs, { transfer: true });
    const answer = await channel.receive();
    for (const [index, [ours]] of pairs.entries()) check(ours, index);
    console.log(`${answer.data} of ${COUNT} descriptors arrived, each the right one`);
    await channel.close();
    break;
  }
  await listener.close();
  await ended;
}

async function receiver() {
  const channel = await connect(path, { codec: 'json' });
  const message = await channel.receive();
  let index = 0;
  for (const fd of message.fds) {
    fd.writeSync(new TextEncoder().encode(`number ${index++}`));
    fd.close();
  }
  await channel.send(index);
  await channel.close();
}

function check(fd, index) {
  const buffer = new Uint8Array(32);
  const text = new TextDecoder().decode(buffer.subarray(0, fd.readSync(buffer)));
  if (text !== `number ${index}`) throw new Error(`Descriptor ${index} says ${JSON.stringify(text)}`);
  fd.close();
}
