/**
 * The media lane: ChannelData and Send indications toward peers (RFC 8656 §12.6, §11.2), and what peers send
 * (§11.3, §12.7). Nothing is allocated for a channel's packet; a Data indication is built, because it needs a header of
 * its own. A packet for one of our own relayed addresses is handed to the allocation there and never enters the kernel.
 *
 * RFC 8656 §13, §14: what came with a datagram goes on with it, as the preferred behavior is; over a stream there is
 * nothing of the kind (§15, §16).
 */
import type { Address, PeerAddress } from "../../base/address.ts";
import { readU16 } from "../../base/bytes.ts";
import { DONT_FRAGMENT, type IpFields, NO_FIELDS, onward, SPENT } from "../../base/ip-fields.ts";
import type { Instant } from "../../base/machine.ts";
import { Attribute, MessageClass, Method } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { messageId } from "../../stun/writer.ts";
import { CHANNEL_HEADER_LENGTH, channelDataLength } from "../channel-data.ts";
import {
  type Allocation,
  findChannel,
  findChannelByPeer,
  findPermission,
  findRelay,
  type Relay,
} from "./allocation.ts";
import type { ClientPath } from "./client-path.ts";
import { countForwarded, type Flow, type Forward } from "./flow.ts";
import { hasUnknownInSend } from "./known-attributes.ts";
import { NOBODY } from "./shard.ts";
import type { ServerState } from "./state.ts";

/** RFC 8489 §5: the length in a STUN header has 16 bits and is a multiple of four. */
const MAX_STUN_LENGTH = 65_532;

/** ChannelData from a client. */
export function handleChannelData(
  state: ServerState,
  data: Uint8Array,
  size: number,
  from: ClientPath,
  now: Instant,
  fields: IpFields,
): Forward | undefined {
  const length = channelDataLength(data, size);
  if (length < 0) return state.drop("malformed");
  const allocation = state.clients.find(from);
  if (allocation === undefined) return state.drop("no-allocation");
  const channel = findChannel(allocation, readU16(data, 0));
  // RFC 8656 §12.6: data on a channel that is not bound is silently discarded.
  if (channel === undefined) return state.drop("no-channel");
  const carried = onward(fields);
  // DEVIATES RFC 8656 §13: where no hops are left nobody is told by ICMP, which only the system may send.
  if (carried === SPENT) return state.drop("hop-limit");
  if (allocation.account.uplink?.take(length, now) === false) return state.drop("bandwidth");
  if (channel.own) {
    const there = state.relays.findAt(channel.toPeer.peer);
    if (there !== undefined) {
      // Its accounts are those of the two allocations.
      if (channel.handOver !== undefined) channel.handOver.flow.packets++;
      return handOver(state, allocation, channel.relay, there, data, CHANNEL_HEADER_LENGTH, length, now, fields);
    }
    const owner = state.relays.ownerOf(channel.toPeer.peer);
    if (owner !== NOBODY)
      return toShard(state, allocation, channel.relay, owner, channel.toPeer, CHANNEL_HEADER_LENGTH, length, fields);
    if (!channel.open) return state.drop("own-address");
  }
  return toPeer(state, channel.toPeer, CHANNEL_HEADER_LENGTH, length, carried);
}

function toPeer(state: ServerState, flow: Flow, offset: number, length: number, fields: IpFields): Forward {
  countForwarded(flow, 1, length);
  return state.forwardBy(flow, offset, length, fields);
}

/** A Send indication (RFC 8656 §11.2): whatever is wrong with it, it is silently discarded. */
export function handleSend(
  state: ServerState,
  view: StunView,
  from: ClientPath,
  now: Instant,
  fields: IpFields,
): Forward | undefined {
  const allocation = state.clients.find(from);
  if (allocation === undefined) return state.drop("no-allocation");
  const peer = state.sendPeer;
  const peerAt = view.indexOf(Attribute.XorPeerAddress);
  const dataAt = view.indexOf(Attribute.Data);
  if (peerAt < 0 || dataAt < 0 || !view.xorAddressAt(peerAt, peer)) return state.drop("malformed");
  // RFC 8489 §6.3.2: an indication with an attribute that must be understood and is not is discarded. RFC 8656 §11.2:
  // where DF cannot be set, DONT-FRAGMENT is such a one.
  if (hasUnknownInSend(view, state.config.dontFragment)) return state.drop("unexpected");
  const permission = findPermission(allocation, peer);
  const relay = findRelay(allocation, peer.family);
  if (permission === undefined || relay === undefined) return state.drop("no-permission");
  if (!state.gate.allowsPort(peer.port)) return state.drop("forbidden-peer");
  const length = view.lengthAt(dataAt);
  const carried = onward(fields);
  if (carried === SPENT) return state.drop("hop-limit");
  if (allocation.account.uplink?.take(length, now) === false) return state.drop("bandwidth");
  const there = state.relays.findAt(peer);
  if (there !== undefined) {
    return handOver(state, allocation, relay, there, view.data, view.offsetAt(dataAt), length, now, fields);
  }
  const flow = state.sendFlow(allocation, relay.id);
  const owner = state.relays.ownerOf(peer);
  if (owner !== NOBODY) return toShard(state, allocation, relay, owner, flow, view.offsetAt(dataAt), length, fields);
  if (!permission.open) return state.drop("own-address");
  // RFC 8656 §13, §14, §15: over UDP the attribute counts from IPv4 to IPv4 alone.
  const canForbid = peer.family === 4 && (from.transport !== "udp" || from.remote.family === 4);
  const isForbidden = canForbid && view.has(Attribute.DontFragment);
  return toPeer(state, flow, view.offsetAt(dataAt), length, isForbidden ? carried | DONT_FRAGMENT : carried);
}

/** A datagram from outside, at one of our relayed transport addresses. */
export function handlePeerData(
  state: ServerState,
  data: Uint8Array,
  length: number,
  from: PeerAddress,
  relay: Relay,
  now: Instant,
  fields: IpFields,
): Forward | undefined {
  const { allocation } = relay;
  if (allocation === undefined || allocation.state !== "live") return state.drop("no-allocation");
  return toClient(state, allocation, from, true, data, 0, length, now, fields);
}

/**
 * From one allocation to another on this server: the receiver sees the sender's advertised address, and its permission
 * counts as it does for any peer.
 */
function handOver(
  state: ServerState,
  sender: Allocation,
  relay: Relay,
  there: Relay,
  data: Uint8Array,
  offset: number,
  length: number,
  now: Instant,
  fields: IpFields,
): Forward | undefined {
  const receiver = there.allocation;
  if (receiver === undefined || receiver.state !== "live") return state.drop("no-allocation");
  sender.account.countToPeer(1, length);
  return toClient(state, receiver, relay.advertised, false, data, offset, length, now, fields);
}

/** The same where the other allocation is another shard's, which asks for the permission. */
function toShard(
  state: ServerState,
  sender: Allocation,
  relay: Relay,
  owner: number,
  flow: Flow,
  offset: number,
  length: number,
  fields: IpFields,
): Forward {
  sender.account.countToPeer(1, length);
  return state.handOverTo(owner, relay.advertised, flow, offset, length, fields);
}

/** What an allocation of another shard has sent to one of our relayed transport addresses. */
export function handleShardData(
  state: ServerState,
  data: Uint8Array,
  offset: number,
  length: number,
  from: PeerAddress,
  to: Readonly<Address>,
  now: Instant,
  fields: IpFields,
): Forward | undefined {
  const receiver = state.relays.findAt(to)?.allocation;
  if (receiver === undefined || receiver.state !== "live") return state.drop("no-allocation");
  return toClient(state, receiver, from, false, data, offset, length, now, fields);
}

function toClient(
  state: ServerState,
  allocation: Allocation,
  from: PeerAddress,
  bySocket: boolean,
  data: Uint8Array,
  offset: number,
  length: number,
  now: Instant,
  fields: IpFields,
): Forward | undefined {
  const channel = findChannelByPeer(allocation, from);
  // RFC 8656 §9: nothing comes in without a permission for its source address; a channel alone is not enough.
  const permission = channel === undefined ? findPermission(allocation, from) : channel.permission;
  if (permission === undefined) return state.drop("no-permission");
  // Our own addresses speak to a relay by hand-over only: a socket could be anybody on this host.
  if (bySocket && !permission.open) return state.drop("own-address");
  if (channel === undefined && !fitsIndication(from, length)) return state.drop("malformed");
  // RFC 8656 §16: to a client over a stream what came with the datagram is ignored.
  const carried = allocation.path.transport === "udp" ? onward(fields) : NO_FIELDS;
  if (carried === SPENT) return state.drop("hop-limit");
  if (allocation.account.downlink?.take(length, now) === false) return state.drop("bandwidth");
  if (channel === undefined) {
    allocation.account.countToClient(1, length);
    return indicate(state, allocation, from, data.subarray(offset, offset + length), carried);
  }
  const flow = channel.toClient;
  countForwarded(flow, 1, length);
  return state.forwardBy(flow, offset, length, carried);
}

/** Whether a Data indication can say where this came from and hold it all. */
function fitsIndication(from: PeerAddress, length: number): boolean {
  const peerAddress = from.family === 4 ? 12 : 24;
  return peerAddress + 4 + ((length + 3) & ~3) <= MAX_STUN_LENGTH;
}

/** RFC 8656 §11.3: to a client without a channel for this peer, a Data indication. */
function indicate(
  state: ServerState,
  allocation: Allocation,
  from: PeerAddress,
  payload: Uint8Array,
  fields: IpFields,
): undefined {
  const { writer, ports } = state;
  writer
    .begin(Method.Data, MessageClass.Indication, messageId(ports.random.bytes(12)))
    .xorAddress(Attribute.XorPeerAddress, from)
    .bytes(Attribute.Data, payload);
  state.outputs.push({ kind: "send", to: allocation.path, data: writer.finish(), fields });
  return undefined;
}
