/** Refresh (RFC 8656 §8.2): prolongs an allocation, one family of it, or ends it. */
import type { Instant } from "../../base/machine.ts";
import { Attribute, ErrorCode } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { readFamily } from "./allocate.ts";
import type { Allocation } from "./allocation.ts";
import { endRelay, extend, grantedLifetime } from "./lifetime.ts";
import { finishSuccess, refuse, success } from "./reply.ts";
import type { ReplyTo } from "./reply-to.ts";
import type { ServerState } from "./state.ts";

export function handleRefresh(
  state: ServerState,
  view: StunView,
  allocation: Allocation,
  reply: ReplyTo,
  now: Instant,
): void {
  const asked = view.u32(Attribute.Lifetime);
  if (asked === undefined && view.has(Attribute.Lifetime)) {
    return refuse(state, reply, ErrorCode.BadRequest, "LIFETIME is malformed");
  }
  const family = readFamily(view, Attribute.RequestedAddressFamily);
  const relays = allocation.relays.filter((relay) => family === undefined || relay.bound.family === family);
  if (relays.length === 0) {
    // RFC 8656 §8.2: a family that this allocation does not have.
    return refuse(state, reply, ErrorCode.PeerAddressFamilyMismatch, "the allocation has no address of this family");
  }
  let left = 0;
  for (const relay of relays) {
    if (asked === 0) endRelay(state, relay, "refreshed-to-zero", now);
    else left = extend(state, relay, allocation, grantedLifetime(state, asked), now);
  }
  success(state, reply).u32(Attribute.Lifetime, left);
  finishSuccess(state, reply);
}
