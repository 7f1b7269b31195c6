// The sending half: warms up, then measures.
// argv: style ('message' | 'iterate' | 'echo'), descriptors, messages. Prints one line of JSON.
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Channel, Fd, spawnWithChannel } from 'fdpass';

const [style = 'message', count = '1', messages = '1000'] = process.argv.slice(2);
const receiver = fileURLToPath(new URL('./fdpass-receive.js', import.meta.url));
const { child, channel } = spawnWithChannel(process.execPath, [receiver, style], {
  stdio: ['ignore', 'inherit', 'inherit'],
  // One message at the most waits here: what waits has to be duplicated.
  highWater: { messages: 1 },
});
const fds = Array.from({ length: Number(count) }, () => Fd.adopt(openSync('/dev/null', 'r')));
const bytes = new Uint8Array(64);

if (style === 'echo') {
  await echo(2000);
  const times = await echo(Number(messages));
  times.sort();
  console.log(JSON.stringify({ p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }));
} else {
  await series(Math.min(30_000, Math.ceil(200_000 / fds.length)));
  const { seconds, lost } = await series(Number(messages));
  console.log(JSON.stringify({ seconds, rate: Number(messages) / seconds, lost }));
}
for (const fd of fds) fd.close();
channel.destroy();
child.kill();

async function series(length: number): Promise<{ seconds: number; lost: number }> {
  const announcement = new Uint8Array(4);
  new DataView(announcement.buffer).setUint32(0, length);
  channel.post(announcement);
  const answer = answered(channel);
  const start = performance.now();
  for (let i = 0; i < length; i++) {
    if (!channel.post(bytes, fds)) await once(channel, 'drain');
  }
  const arrived = Number(await answer);
  return { seconds: (performance.now() - start) / 1000, lost: length * fds.length - arrived };
}

function answered(from: Channel): Promise<string> {
  return new Promise((resolve) => from.once('message', ({ data }) => resolve(Buffer.from(data).toString())));
}

/** Microseconds of each round trip of one descriptor. */
function echo(rounds: number): Promise<Float64Array> {
  const times = new Float64Array(rounds);
  return new Promise((resolve) => {
    let round = 0;
    let start = 0;
    function send(): void {
      start = performance.now();
      channel.post(bytes, fds);
    }
    channel.on('message', function receive() {
      times[round] = (performance.now() - start) * 1000;
      round += 1;
      if (round < rounds) return send();
      channel.off('message', receive);
      resolve(times);
    });
    send();
  });
}
