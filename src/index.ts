/// <reference types="node" preserve="true" />

export type { Address } from './address.js';
export type { AuthorizeFunction, TrustOptions } from './authorize.js';
export type { AcceptOptions, ChannelOptions, QueueMarks } from './channel/config.js';
export type { SendOptions } from './channel/outbox.js';
export type { BytesChannelOptions, ChannelEvents, Outgoing, ValueChannelOptions } from './channel/types.js';
export { Channel } from './channel.js';
export { channelPair } from './channel-pair.js';
export type { Codec, CodecName } from './codec.js';
export { type ConnectOptions, connect } from './connect.js';
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
export { type ListenOptions, listen } from './listen.js';
export { Listener, type ListenerEvents } from './listener.js';
export type { Message } from './message.js';
export type { HasFd } from './node-objects.js';
export {
  type ReceivedMessage,
  type ReceiveMessageOptions,
  receiveMessage,
  type Truncation,
} from './receive-message.js';
export { type SendMessageOptions, sendMessage } from './send-message.js';
export type { Sendable } from './sendable.js';
export { type SocketType, socketPair } from './socket-pair.js';
export { type ChildWithChannel, spawnWithChannel } from './spawn.js';
export { detachForThread } from './thread.js';
export type { ChannelToken, FdToken, MessageToken, ThreadToken } from './thread-token.js';
