/** How two processes meet at a path, and how each waits for what the other sends. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { Fd, type ReceivedMessage, receiveMessage, sendMessage } from 'fdpass';

/** Longer than any step takes; a demonstration must not hang. */
const PATIENCE_MS = 10_000;

/** Listens at `path` until one process has connected. */
export async function accept(path: string): Promise<Fd> {
  // Paused: Node would read, and what it reads loses its descriptors.
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, 'listening');
  console.log('listening');
  const [socket] = (await once(server, 'connection')) as [Socket];
  server.close();
  return taken(socket);
}

/** Connects to `path`. */
export async function meet(path: string): Promise<Fd> {
  const socket = connect(path);
  await once(socket, 'connect');
  return taken(socket);
}

/** A message with at least one descriptor, or an answer. */
export function say(socket: Fd, text: string, fds: Fd[] = [], transfer = false): void {
  sendMessage(socket, text, fds, { transfer, timeout: PATIENCE_MS });
}

/** Waits for the next message. */
export function hear(socket: Fd): ReceivedMessage {
  const message = receiveMessage(socket, { timeout: PATIENCE_MS });
  if (message === undefined) throw new Error('The other process has ended');
  return message;
}

/** The text of a message. */
export function textOf({ data }: ReceivedMessage): string {
  return new TextDecoder().decode(data);
}

/** How many descriptors this process has open, without the one that counting takes. */
export function countOpen(): number {
  return readdirSync('/dev/fd').length - 1;
}

/** Has Node open what it keeps for good, so that the counts before and after can be equal. */
export async function settle(): Promise<void> {
  // The first use of a terminal opens it anew, and Node itself looks at both.
  for (const stream of [process.stdout, process.stderr]) stream.write('');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

/** Our own copy of the connection; Node lets go of its own. */
function taken(socket: Socket): Fd {
  const fd = Fd.duplicate(socket);
  socket.destroy();
  return fd;
}
