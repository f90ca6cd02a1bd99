/** ChannelBind (RFC 8656 §12.2). It installs or refreshes the peer's permission too. */
import { type Address, blankAddress, sameAddress } from "../../base/address.ts";
import { append, lengthOf } from "../../base/chain.ts";
import { after, type Instant } from "../../base/machine.ts";
import { Attribute, ErrorCode } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import {
  type Allocation,
  type Channel,
  findChannel,
  findChannelByPeer,
  findPermission,
  findRelay,
  type Relay,
} from "./allocation.ts";
import { checkPeers, installPermission, type Refusal } from "./create-permission.ts";
import type { Flow } from "./flow.ts";
import { dateFlows } from "./flow-ends.ts";
import { finishSuccess, refuse, success } from "./reply.ts";
import type { ReplyTo } from "./reply-to.ts";
import type { ServerState } from "./state.ts";

/** RFC 8656 §12: a channel binding lasts 10 minutes. */
const CHANNEL_MS = 600_000;
const FIRST_CHANNEL = 0x4000;
const CHANNELS = {
  rfc8656: { last: 0x4fff, refusal: "is missing, or outside 0x4000-0x4FFF: the channel range rfc5766 allows more" },
  rfc5766: { last: 0x7fff, refusal: "is missing, or outside 0x4000-0x7FFF" },
} as const;

export function handleChannelBind(
  state: ServerState,
  view: StunView,
  allocation: Allocation,
  reply: ReplyTo,
  now: Instant,
): void {
  const { last, refusal: why } = CHANNELS[state.config.channelRange];
  const number = readChannelNumber(view, last);
  if (number === undefined) return refuse(state, reply, ErrorCode.BadRequest, `CHANNEL-NUMBER ${why}`);
  const peer = blankAddress();
  const index = view.indexOf(Attribute.XorPeerAddress);
  if (index < 0 || !view.xorAddressAt(index, peer)) {
    return refuse(state, reply, ErrorCode.BadRequest, "XOR-PEER-ADDRESS is missing or malformed");
  }
  const bound = findChannel(allocation, number);
  const refusal = checkBinding(state, allocation, bound, peer, now);
  if (refusal !== undefined) return refuse(state, reply, refusal.code, refusal.why);
  installPermission(state, allocation, peer, now);
  const channel = bound ?? addChannel(state, allocation, number, peer);
  state.deadlines.set(channel, after(now, CHANNEL_MS));
  dateFlows(state, channel);
  success(state, reply);
  finishSuccess(state, reply);
}

function readChannelNumber(view: StunView, last: number): number | undefined {
  const value = view.u32(Attribute.ChannelNumber);
  if (value === undefined) return undefined;
  const number = value >>> 16;
  return number >= FIRST_CHANNEL && number <= last ? number : undefined;
}

function checkBinding(
  state: ServerState,
  allocation: Allocation,
  bound: Channel | undefined,
  peer: Address,
  now: Instant,
): Refusal | undefined {
  // RFC 8656 §12.2: one channel a peer, one peer a channel.
  if (bound !== undefined && !sameAddress(bound.toPeer.peer, peer)) {
    return { code: ErrorCode.BadRequest, why: "the channel is bound to another peer" };
  }
  if (bound === undefined && findChannelByPeer(allocation, peer) !== undefined) {
    return { code: ErrorCode.BadRequest, why: "the peer is bound to another channel" };
  }
  if (!state.gate.allowsPort(peer.port)) {
    return { code: ErrorCode.Forbidden, why: `peer port ${peer.port} is not allowed` };
  }
  // One of our own addresses is reachable only where a live allocation answers.
  if (state.gate.judge(peer) === "own" && !state.relays.hasAt(peer) && !state.gate.isOpen(peer)) {
    state.drop("own-address");
    return { code: ErrorCode.Forbidden, why: "the peer's address is ours and no allocation lives there" };
  }
  if (bound === undefined && lengthOf(allocation.channels) >= state.config.quotas.channels) {
    return { code: ErrorCode.InsufficientCapacity, why: "the allocation has all its channels" };
  }
  return checkPeers(state, allocation, [peer], now);
}

function addChannel(state: ServerState, allocation: Allocation, number: number, peer: Address): Channel {
  const relay = findRelay(allocation, peer.family) as Relay;
  const flow = (toward: "peer" | "client"): Flow => createFlow(toward, allocation, number, relay, peer);
  const channel: Channel = {
    kind: "channel",
    allocation,
    number,
    relay,
    toPeer: flow("peer"),
    toClient: flow("client"),
    permission: findPermission(allocation, peer),
    own: state.gate.judge(peer) === "own",
    open: state.gate.isOpen(peer),
    handOver: undefined,
    deadline: 0 as Instant,
    heapIndex: -1,
    next: undefined,
  };
  allocation.channels = append(allocation.channels, channel);
  state.stats.channels++;
  if (!channel.own) {
    state.outputs.push({ kind: "offload", flow: channel.toPeer });
    state.outputs.push({ kind: "offload", flow: channel.toClient });
  }
  return channel;
}

function createFlow(
  toward: "peer" | "client",
  { path: client, account }: Allocation,
  channel: number,
  relay: Relay,
  peer: Address,
): Flow {
  return { toward, client, channel, relay: relay.id, peer, account, packets: 0, bytes: 0, until: 0 as Instant };
}
