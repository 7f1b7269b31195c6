// Node's own `child.send(message, handle)`: one socket a message. argv: messages. Prints one line of JSON.
import { fork } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

if (process.send && process.env.FDPASS_BENCH_CHILD) {
  let fds = 0;
  process.on('message', (message: { last: boolean }, handle) => {
    if (handle) fds += 1;
    (handle as { close?: () => void } | undefined)?.close?.();
    if (message.last) process.send?.({ fds });
  });
} else {
  const messages = Number(process.argv[2]);
  const child = fork(fileURLToPath(import.meta.url), [], {
    env: { ...process.env, FDPASS_BENCH_CHILD: '1' },
  });
  const server = createServer().listen(0, '127.0.0.1', () => {
    const start = performance.now();
    child.once('message', ({ fds }: { fds: number }) => {
      const seconds = (performance.now() - start) / 1000;
      console.log(JSON.stringify({ seconds, rate: messages / seconds, lost: messages - fds }));
      child.kill();
      server.close();
    });
    for (let i = 1; i <= messages; i++) child.send({ last: i === messages }, server);
  });
}
