import { createServer } from 'node:http';
import { serve } from 'fdpass/prefork';

const body = Buffer.from('hello\n');
const delay = Number(process.env.DELAY ?? 0);

const server = createServer((_request, response) => {
  const answer = (): void => {
    response.writeHead(200, { 'Content-Length': body.length, 'X-Worker': process.pid });
    response.end(body);
  };
  if (delay > 0) setTimeout(answer, delay);
  else answer();
});

serve(server);
