/** `postern/natlab`: a network in memory, to test calls in. docs/natlab.md tells how. */
export { type Address, type Family, formatAddress, formatIp, parseIp } from "../core/base/address.ts";
export type { Instant } from "../core/base/machine.ts";
export { VirtualClock, type VirtualTimer } from "./adapters/clock.ts";
export type { Emitter } from "./adapters/emitter.ts";
export type { NetSocket, NetSocketOptions } from "./adapters/net-socket.ts";
export type { NodeAddress, NodeError } from "./adapters/node-address.ts";
export {
  type BindOptions,
  type DgramSocket,
  type NodeDgram,
  nodeDgram,
  type RemoteInfo,
} from "./adapters/node-dgram.ts";
export { type NetConnectOptions, type NetServer, type NodeNet, nodeNet, nodeTls } from "./adapters/node-net.ts";
export type { Appointment } from "./agenda.ts";
export type { Alarm } from "./alarm.ts";
export { type Dependence, type NatBehavior, natBehavior, type PortAssignment } from "./behavior.ts";
export type { Capture } from "./capture.ts";
export { allOf, type Direction, type Firewall, resetting, type Verdict } from "./firewall/firewall.ts";
export { type FirewallBehavior, InsideToOutside } from "./firewall/inside-to-outside.ts";
export { type Inspected, inspecting, onlyTls } from "./firewall/inspection.ts";
export {
  onlyPorts,
  type PortRange,
  type PortRule,
  type ProtocolPorts,
  withoutPorts,
  withoutTcp,
  withoutUdp,
} from "./firewall/port-rules.ts";
export { withoutServerNames } from "./firewall/server-names.ts";
export type { Gateway, GatewayOptions } from "./gateway.ts";
export type { Host, SocketOptions } from "./host.ts";
export type { Link, LinkConditions } from "./link.ts";
export { canMeet } from "./meeting.ts";
export type { Nat, Refusal } from "./nat/nat.ts";
export type { Rfc4787Nat } from "./nat/rfc4787-nat.ts";
export {
  admits,
  type ClassicName,
  canHairpin,
  canPunch,
  type Discovery,
  discovery,
  inSeries,
  type Use,
} from "./oracle.ts";
export type { Packet, Protocol, TcpPacket, UdpPacket } from "./packet.ts";
export type { Router } from "./router.ts";
export type { DropReason, Sighting } from "./sightings.ts";
export type { TcpState } from "./tcp/block.ts";
export type { ByteStream, CloseReason } from "./tcp/byte-stream.ts";
export type { TcpConnection } from "./tcp/connection.ts";
export type { ListenOptions, TcpListener } from "./tcp/listener.ts";
export { Flag, has as hasFlag, isOpening, type Segment } from "./tcp/segment.ts";
export type { ConnectOptions } from "./tcp/tcp-host.ts";
export { type TlsClientOptions, type TlsStream, tlsClient, tlsServer } from "./tls/tls-stream.ts";
export type { SendOptions, UdpSocket } from "./udp-socket.ts";
export { World } from "./world.ts";
