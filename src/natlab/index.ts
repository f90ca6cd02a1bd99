/** `postern/natlab`: a network in memory, to test calls in. docs/natlab.md tells how. */
export { type Address, type Family, formatAddress, formatIp, parseIp } from "../core/base/address.ts";
export type { Instant } from "../core/base/machine.ts";
export type { Appointment } from "./agenda.ts";
export type { Alarm } from "./alarm.ts";
export type { Host, SocketOptions } from "./host.ts";
export type { Link, LinkConditions } from "./link.ts";
export type { Packet } from "./packet.ts";
export type { Router } from "./router.ts";
export type { DropReason, Sighting } from "./sightings.ts";
export type { SendOptions, UdpSocket } from "./udp-socket.ts";
export { World } from "./world.ts";
