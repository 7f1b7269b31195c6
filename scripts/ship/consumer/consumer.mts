// A strict consumer: compiled, never run. It names the types it gets, so that none of them may silently be `any`.
import { createServer, type Socket } from 'node:net';
import {
  type Channel,
  connect,
  Fd,
  type FdInfo,
  FdpassError,
  type Message,
  type ReceivedMessage,
  receiveMessage,
  sendMessage,
  socketPair,
} from 'fdpass';
import type { Manager } from 'fdpass/prefork';

type IsAny<T> = 0 extends 1 & T ? true : false;
type Known<T> = IsAny<T> extends true ? never : T;

export type KnownManager = Known<Manager>;

const [a, b]: [Fd, Fd] = socketPair('seqpacket');
const sent: Known<number> = sendMessage(a, 'a server', [createServer()], { timeout: 100 });
const message: ReceivedMessage | undefined = receiveMessage(b, { maxFds: sent });
if (message) {
  const [fd] = message.fds;
  const info: FdInfo | undefined = fd?.describe();
  if (info?.kind === 'tcp') console.log(info.listening, info.local?.port);
  const socket: Known<Socket> | undefined = fd?.toSocket();
  console.log(socket?.remotePort, message.data.byteLength);
}
const channel: Channel<Uint8Array> = await connect('/tmp/socket', {});
for await (const { data, fds } of channel) {
  const bytes: Known<number> = data.byteLength;
  console.log(
    bytes,
    [...fds].map((fd) => fd.fd),
  );
}
const last: Message<Uint8Array> | undefined = await channel.receive();
console.log(last?.error?.code);
await channel.send(new Uint8Array(1), [a], { transfer: true });
try {
  Fd.adopt(3).close();
} catch (error) {
  if (error instanceof FdpassError) console.log(error.code.toUpperCase(), error.errno);
}
// @ts-expect-error -- a string has no descriptor
sendMessage(a, 'x', ['/etc/passwd']);
