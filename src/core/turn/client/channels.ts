/**
 * Channels (RFC 8656 §12). A channel's permission lives half as long as the channel, so each is refreshed by itself; and a
 * number that was used means no other peer until five minutes after the server has forgotten it.
 */
import { copyAddress, type PeerAddress } from "../../base/address.ts";
import { PosternError } from "../../base/failure.ts";
import { after, type Instant } from "../../base/machine.ts";
import { Attribute, Method } from "../../stun/registry.ts";
import type { Failure } from "./failure.ts";
import { loseIfGone } from "./loss.ts";
import { grant, wantPermission } from "./permissions.ts";
import { beginRequest, send } from "./requests.ts";
import type { Channel, ClientState } from "./state.ts";

/** RFC 8656 §12: 10 minutes, and 60 s are left to repeat a refresh in. */
const CHANNEL_MS = 600_000;
const REFRESH_MS = 540_000;
/** RFC 8656 §12: after a binding has expired, its number and its peer are left alone for five minutes. */
const COOLING_MS = 300_000;

/** RFC 8656 §12: 0x4000 to 0x4FFF. */
const FIRST_CHANNEL = 0x4000;
const CHANNELS = 0x1000;

/** Asks for a channel and returns its number. Throws `PosternError` `no-channel-left`. */
export function bind(state: ClientState, peer: PeerAddress, now: Instant): number {
  const channel = state.findChannel(peer) ?? addChannel(state, peer);
  const { number } = channel;
  channel.wanted = true;
  if (channel.bound) state.tell({ type: "channel", peer: channel.peer, channel: number, failure: undefined });
  else if (state.phase === "live") askChannel(state, channel, 0, now);
  return number;
}

function addChannel(state: ClientState, peer: PeerAddress): Channel {
  const channel: Channel = {
    kind: "channel",
    number: freeNumber(state),
    peer: copyAddress(peer),
    permission: wantPermission(state, peer),
    bound: false,
    asking: false,
    wanted: true,
    heldUntil: 0 as Instant,
    deadline: 0 as Instant,
    heapIndex: -1,
  };
  state.channels.set(channel.number, channel);
  return channel;
}

/** The next number in turn, so that one is not used again soon. */
function freeNumber(state: ClientState): number {
  if (state.channels.size >= CHANNELS) {
    throw new PosternError(
      "no-channel-left",
      "All 4096 channels are bound, or were until lately: unbind some, and wait.",
    );
  }
  do {
    state.lastChannel = FIRST_CHANNEL + ((state.lastChannel + 1 - FIRST_CHANNEL) % CHANNELS);
  } while (state.channels.has(state.lastChannel));
  return state.lastChannel;
}

/** No more refreshes. Data for the peer goes in Send indications from now on, while there is a permission. */
export function unbind(state: ClientState, peer: PeerAddress): void {
  const channel = state.findChannel(peer);
  if (channel === undefined) return;
  channel.wanted = channel.bound = false;
  hold(state, channel);
}

/** Keeps the number of a channel that is not wanted for as long as the server may know it. */
function hold(state: ClientState, channel: Channel): void {
  if (channel.asking) return;
  if (channel.heldUntil === 0) state.channels.delete(channel.number);
  else state.deadlines.set(channel, channel.heldUntil);
}

export function askChannel(state: ClientState, channel: Channel, challenges: number, now: Instant): void {
  if (channel.asking && challenges === 0) return;
  channel.asking = true;
  // An answer that is lost leaves the server with a binding that this client does not know of.
  channel.heldUntil = after(now, CHANNEL_MS + COOLING_MS);
  beginRequest(state, Method.ChannelBind)
    .u32(Attribute.ChannelNumber, channel.number * 0x10000)
    .xorAddress(Attribute.XorPeerAddress, channel.peer);
  send(state, { kind: "channel", channel }, challenges, now);
}

export function handleBound(state: ClientState, channel: Channel, now: Instant): void {
  channel.asking = false;
  channel.heldUntil = after(now, CHANNEL_MS + COOLING_MS);
  if (!channel.wanted) return hold(state, channel);
  const isNews = !channel.bound;
  channel.bound = true;
  state.deadlines.set(channel, after(now, REFRESH_MS));
  // RFC 8656 §12.2: a ChannelBind installs or refreshes the permission too.
  if (state.permissions.includes(channel.permission)) grant(state, channel.permission, now);
  if (isNews) state.tell({ type: "channel", peer: channel.peer, channel: channel.number, failure: undefined });
}

export function handleNotBound(state: ClientState, channel: Channel, failure: Failure, now: Instant): void {
  channel.asking = false;
  if (loseIfGone(state, failure, now)) return;
  channel.wanted = channel.bound = false;
  hold(state, channel);
  state.tell({ type: "channel", peer: channel.peer, channel: channel.number, failure });
}

/** Its deadline has come. */
export function handleChannelDue(state: ClientState, channel: Channel, now: Instant): void {
  if (channel.wanted) askChannel(state, channel, 0, now);
  else state.channels.delete(channel.number);
}
