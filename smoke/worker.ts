/** A thread: echoes over a channel that moved here, or keeps channels busy until it is ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { Channel, type ChannelToken, channelPair, Fd, type FdToken } from 'fdpass';

if (workerData === 'echo')
  parentPort?.once('message', (tokens: [ChannelToken, FdToken]) => void echo(tokens));
else keepBusy();

async function echo([channelToken, fdToken]: [ChannelToken, FdToken]): Promise<void> {
  const channel = Channel.fromThread(channelToken);
  const fd = Fd.fromThread(fdToken);
  const message = await channel.receive();
  await channel.send(message?.data ?? 'nothing', [fd]);
  await channel.send(fd.describe().kind);
  fd.close();
  await channel.close();
}

function keepBusy(): void {
  const fds = [0, 1, 2, 3].map((number) => Fd.duplicate(number % 3));
  for (let index = 0; index < 10; index += 1) {
    const [left, right] = channelPair();
    const fill = (): void => {
      while (left.post('x', fds));
    };
    left.on('drain', fill);
    right.on('message', (message) => message.fds.take(0).close());
    fill();
  }
  parentPort?.once('message', (end) => {
    if (end === 'exit') process.exit(0);
    throw new Error('thrown on purpose');
  });
  setTimeout(() => parentPort?.postMessage('busy'), 20);
}
