/** Until when a channel's flows may be forwarded, for a datapath that does so without asking. */
import type { Instant } from "../../base/machine.ts";
import type { Channel } from "./allocation.ts";
import { settleHandOvers } from "./hand-over.ts";
import type { ServerState } from "./state.ts";

/** After the channel, its permission or its allocation has got another deadline. */
export function dateFlows(state: ServerState, channel: Channel): void {
  const { toPeer, toClient, relay, permission } = channel;
  toPeer.until = Math.min(channel.deadline, relay.deadline) as Instant;
  // RFC 8656 §9: what comes back needs the permission too.
  toClient.until = Math.min(toPeer.until, permission?.deadline ?? toPeer.until) as Instant;
  settleHandOvers(state, channel);
}
