// The same server by node:cluster, or in one process: PORT, WORKERS, MODE (rr, none, single; reuse: each worker
// listens for itself at a shared port, which Node can from 22.12 on).
import cluster from 'node:cluster';
import { createServer } from 'node:http';

const { PORT, WORKERS = '2', MODE = 'rr' } = process.env;
const body = Buffer.from('hello\n');

function listen(whenListening?: () => void): void {
  createServer((_request, response) => {
    response.writeHead(200, { 'Content-Length': body.length, 'X-Worker': process.pid });
    response.end(body);
  }).listen({ port: Number(PORT), host: '127.0.0.1', reusePort: MODE === 'reuse' }, whenListening);
}

if (MODE === 'single') {
  listen(() => console.log('ready'));
} else if (cluster.isPrimary) {
  cluster.schedulingPolicy = MODE === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
  let listening = 0;
  cluster.on('message', () => {
    listening += 1;
    if (listening === Number(WORKERS)) console.log('ready');
  });
  cluster.on('exit', () => cluster.fork());
  for (let n = 0; n < Number(WORKERS); n++) cluster.fork();
  process.on('SIGTERM', () => process.exit(0));
} else {
  listen(() => process.send?.('listening'));
}
