/** Started by a manager: answers each request with its pid, and tells the manager what this runtime refuses. */
import { createServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { onConnection, serve, worker } from 'fdpass/prefork';
import { codeOf } from './check.js';

const [, , refused] = process.argv;

if (refused === 'https') worker().send('manager', String(await codeOf(() => serve(createHttpsServer()))));
if (refused === 'raw') worker().send('manager', String(await codeOf(() => onConnection((fd) => fd.close()))));

serve(
  createServer((_request, response) => {
    const body = String(process.pid);
    response.writeHead(200, { 'Content-Length': body.length });
    response.end(body);
  }),
);
