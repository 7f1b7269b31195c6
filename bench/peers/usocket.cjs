// The npm package usocket, where it could be built. argv: its folder, descriptors, messages. Prints lines of JSON: the
// receiver's pid, how many descriptors have arrived so far, and at the end, which may never come, the rate and the loss.
const { fork } = require('node:child_process');
const { openSync, closeSync, unlinkSync } = require('node:fs');

const [folder, count, messages, path] = process.argv.slice(2);
const { USocket, UServer } = require(folder);
const bytes = Buffer.alloc(64);

if (path) {
  // The receiver: counts until the sender has ended, or was given up.
  process.on('disconnect', () => process.exit());
  const server = new UServer();
  server.on('connection', (socket) => {
    let fds = 0;
    let told = 0;
    socket.on('fds', (numbers) => {
      for (const fd of numbers) {
        fds += 1;
        closeSync(fd);
      }
      if (performance.now() - told < 200) return;
      told = performance.now();
      process.send({ arrived: fds });
    });
    socket.on('readable', () => socket.read());
    socket.on('end', () => process.send({ fds }));
  });
  server.listen(path);
  process.send({ ready: true });
} else {
  const address = `/tmp/fdpass-usocket-${process.pid}`;
  // The receiver may outlive this process, and must not keep the pipe open that the caller reads.
  const child = fork(__filename, [folder, count, messages, address], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  console.log(JSON.stringify({ child: child.pid }));
  child.once('message', () => {
    const socket = new USocket({ path: address }, () => send(socket));
    let start = 0;
    function send() {
      const fds = Array.from({ length: Number(count) }, () => openSync('/dev/null', 'r'));
      start = performance.now();
      let sent = 0;
      const pump = () => {
        while (sent < Number(messages)) {
          sent += 1;
          socket.write({ data: bytes, fds });
          // Its write() returns nothing.
          if (socket.writableNeedDrain) return socket.once('drain', pump);
        }
        socket.end();
      };
      pump();
    }
    child.on('message', ({ fds, arrived }) => {
      if (arrived !== undefined) return console.log(JSON.stringify({ arrived }));
      const seconds = (performance.now() - start) / 1000;
      const lost = Number(count) * Number(messages) - fds;
      console.log(JSON.stringify({ seconds, rate: Number(messages) / seconds, lost }));
      child.kill();
      try {
        unlinkSync(address);
      } catch {}
      process.exit(0);
    });
  });
}
