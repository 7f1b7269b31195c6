export type { ServerOptions, SocketOptions } from './convert/net.js';
export { type MessageCredentials, type PeerCredentials, peerCredentials } from './credentials.js';
export { AbortError, FdpassError, type FdpassErrorCode, type FdpassErrorDetails } from './errors.js';
export { Fd } from './fd.js';
export { FdList } from './fd-list.js';
export type {
  FdFacts,
  FdInfo,
  FdKind,
  FdStats,
  InetAddress,
  PlainInfo,
  TcpInfo,
  UdpInfo,
  UnixInfo,
} from './inspect.js';
export type { HasFd } from './node-objects.js';
export type { Sendable } from './sendable.js';
export {
  type ReceivedMessage,
  type ReceiveMessageOptions,
  receiveMessage,
  type SendMessageOptions,
  type SocketType,
  sendMessage,
  socketPair,
  type Truncation,
} from './socket.js';
