/** CreatePermission (RFC 8656 §10.2): all of the addresses, or none of them. */
import { type Address, blankAddress, type PeerAddress, sameIp } from "../../base/address.ts";
import { append, itemsOf, lengthOf } from "../../base/chain.ts";
import { after, type Instant } from "../../base/machine.ts";
import { Attribute, ErrorCode } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { type Allocation, findPermission, findRelay, type Permission } from "./allocation.ts";
import { dateFlows } from "./flow-ends.ts";
import { finishSuccess, refuse, success } from "./reply.ts";
import type { ReplyTo } from "./reply-to.ts";
import type { ServerState } from "./state.ts";

/** RFC 8656 §9: the Permission Lifetime is 300 seconds. */
export const PERMISSION_MS = 300_000;

export interface Refusal {
  readonly code: ErrorCode;
  readonly why: string;
}

const NO_RELAY: Refusal = {
  code: ErrorCode.PeerAddressFamilyMismatch,
  why: "the allocation has no relayed address of the peer's family",
};
const FORBIDDEN: Refusal = {
  code: ErrorCode.Forbidden,
  why: "the peer's address is not allowed (the host's own, special-purpose, or denied): allow-peers opens it",
};
const TOO_MANY: Refusal = { code: ErrorCode.InsufficientCapacity, why: "the allocation has all its permissions" };
const TOO_FAST: Refusal = { code: ErrorCode.InsufficientCapacity, why: "the allocation adds new peers too fast" };

export function handleCreatePermission(
  state: ServerState,
  view: StunView,
  allocation: Allocation,
  reply: ReplyTo,
  now: Instant,
): void {
  const peers: Address[] = [];
  for (let i = 0; i < view.attributeCount; i++) {
    if (view.typeAt(i) !== Attribute.XorPeerAddress) continue;
    const peer = blankAddress();
    if (!view.xorAddressAt(i, peer)) {
      return refuse(state, reply, ErrorCode.BadRequest, "XOR-PEER-ADDRESS is malformed");
    }
    peer.port = 0;
    if (!peers.some((other) => sameIp(other, peer))) peers.push(peer);
  }
  if (peers.length === 0) return refuse(state, reply, ErrorCode.BadRequest, "XOR-PEER-ADDRESS is missing");
  const refusal = checkPeers(state, allocation, peers, now);
  if (refusal !== undefined) return refuse(state, reply, refusal.code, refusal.why);
  for (const peer of peers) installPermission(state, allocation, peer, now);
  success(state, reply);
  finishSuccess(state, reply);
}

/** Why these peers may not be given permission; undefined when they may. Takes from the allocation's budget. */
export function checkPeers(
  state: ServerState,
  allocation: Allocation,
  peers: readonly PeerAddress[],
  now: Instant,
): Refusal | undefined {
  for (const peer of peers) {
    // RFC 8656 §10.2: a peer of a family without a relayed address is 443.
    if (findRelay(allocation, peer.family) === undefined) return NO_RELAY;
    // RFC 8656 §10.2: restrictions on the address are 403.
    if (state.gate.judge(peer) === "forbidden") {
      state.drop("forbidden-peer");
      return FORBIDDEN;
    }
  }
  const fresh = peers.filter((peer) => findPermission(allocation, peer) === undefined).length;
  if (lengthOf(allocation.permissions) + fresh > state.config.quotas.permissions) return TOO_MANY;
  if (fresh === 0 || allocation.newPeers.take(fresh, now)) return undefined;
  state.drop("too-many-new-peers");
  return TOO_FAST;
}

/** Installs or refreshes the permission for a peer's IP address. `peer` is kept. */
export function installPermission(
  state: ServerState,
  allocation: Allocation,
  peer: PeerAddress,
  now: Instant,
): Permission {
  const permission = findPermission(allocation, peer) ?? addPermission(state, allocation, peer);
  state.deadlines.set(permission, after(now, PERMISSION_MS));
  for (const channel of itemsOf(allocation.channels)) if (channel.permission === permission) dateFlows(state, channel);
  return permission;
}

function addPermission(state: ServerState, allocation: Allocation, peer: PeerAddress): Permission {
  const permission: Permission = {
    kind: "permission",
    allocation,
    peer,
    open: state.gate.isOpen(peer),
    deadline: 0 as Instant,
    heapIndex: -1,
    next: undefined,
  };
  allocation.permissions = append(allocation.permissions, permission);
  state.stats.permissions++;
  for (const channel of itemsOf(allocation.channels)) {
    if (!sameIp(channel.toPeer.peer, peer)) continue;
    channel.permission = permission;
    if (!channel.own) state.outputs.push({ kind: "offload", flow: channel.toClient });
  }
  return permission;
}
