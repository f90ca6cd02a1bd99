/**
 * Two clients of this server, each with a channel to the other's relayed address: what one sends on its channel is what the
 * other gets on its own, and neither relay socket sees it. Such a pair is a flow for each way, from client to client, for as
 * long as everything that the way needs is there: both channels, both allocations, and the receiver's permission for the
 * sender. Whoever changes any of these settles the flows of the channels that it belongs to.
 */
import { itemsOf } from "../../base/chain.ts";
import type { Instant } from "../../base/machine.ts";
import { type Channel, findChannelByPeer } from "./allocation.ts";
import type { Flow } from "./flow.ts";
import type { ServerState } from "./state.ts";

/** Those that begin at this channel, and those that end there. */
export function settleHandOvers(state: ServerState, channel: Channel): void {
  settle(state, channel);
  const other = state.relays.findAt(channel.toPeer.peer)?.allocation;
  for (const sender of itemsOf(other?.channels)) {
    if (sender.own && state.relays.findAt(sender.toPeer.peer) === channel.relay) settle(state, sender);
  }
}

function settle(state: ServerState, sender: Channel): void {
  const into = receiverOf(state, sender);
  const known = sender.handOver;
  if (known !== undefined && known.into !== into) {
    sender.handOver = undefined;
    state.outputs.push({ kind: "withdraw", flow: known.flow });
  }
  if (into === undefined) return;
  sender.handOver ??= begin(state, sender, into);
  sender.handOver.flow.until = Math.min(sender.toPeer.until, into.toClient.until) as Instant;
}

function begin(state: ServerState, sender: Channel, into: Channel): NonNullable<Channel["handOver"]> {
  const { path: client, account } = sender.allocation;
  const flow: Flow = {
    ...into.toClient,
    packets: 0,
    bytes: 0,
    sender: { client, channel: sender.number, account },
  };
  state.outputs.push({ kind: "offload", flow });
  return { flow, into };
}

/** The channel on which what comes by this one leaves, as long as it may. */
function receiverOf(state: ServerState, sender: Channel): Channel | undefined {
  const { allocation, relay, toPeer } = sender;
  if (!sender.own || allocation.state !== "live" || !itemsOf(allocation.channels).includes(sender)) return undefined;
  const there = state.relays.findAt(toPeer.peer)?.allocation;
  if (there?.state !== "live") return undefined;
  const into = findChannelByPeer(there, relay.advertised);
  // RFC 8656 §9: a channel alone is not enough.
  return into?.permission === undefined ? undefined : into;
}
