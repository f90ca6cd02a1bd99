/**
 * The media lane (RFC 8656 §11.1, §11.4, §11.6, §12.5, §12.7): how data for a peer is framed, and where in what came from
 * the server a peer's data lies, or what became of data for one. On a channel nothing is allocated for a packet.
 */
import { copyAddress, type PeerAddress } from "../../base/address.ts";
import { readU16 } from "../../base/bytes.ts";
import { Attribute, MessageClass, Method } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { CHANNEL_HEADER_LENGTH, channelDataLength } from "../channel-data.ts";
import { decodeIcmp } from "../icmp.ts";
import { begin } from "./requests.ts";
import type { Channel, ClientState, Incoming } from "./state.ts";

const EMPTY = new Uint8Array(0);

/** How data leaves: behind the ChannelData header of a channel, or in a message that holds it already. */
export type Framing = Pick<Channel, "kind" | "number"> | { readonly kind: "message"; readonly data: Uint8Array };

export function frame(state: ClientState, peer: PeerAddress, data: Uint8Array): Framing | undefined {
  if (state.phase !== "live") return state.drop("not-allocated");
  const channel = state.findChannel(peer);
  if (channel?.bound === true) return channel;
  // RFC 8656 §11.2: without a permission the server drops it, and says nothing.
  if (state.findPermission(peer)?.granted !== true) return state.drop("no-permission");
  begin(state, Method.Send, MessageClass.Indication)
    .xorAddress(Attribute.XorPeerAddress, peer)
    .bytes(Attribute.Data, data);
  if (state.config.dontFragment) state.writer.bytes(Attribute.DontFragment, EMPTY);
  return { kind: "message", data: state.writer.finish() };
}

export function handleChannelData(state: ClientState, data: Uint8Array, size: number): Incoming | undefined {
  const length = channelDataLength(data, size);
  if (length < 0) return state.drop("malformed");
  const channel = state.channels.get(readU16(data, 0));
  // RFC 8656 §12.7: data on a channel that is not bound is discarded; the answer to a ChannelBind may come behind it.
  if (channel === undefined || !channel.wanted || (!channel.bound && !channel.asking)) return state.drop("no-channel");
  return state.incoming(channel.peer, CHANNEL_HEADER_LENGTH, length);
}

/** A Data indication. */
export function handleData(state: ClientState, view: StunView): Incoming | undefined {
  const peer = state.indicationPeer;
  const peerAt = view.indexOf(Attribute.XorPeerAddress);
  const dataAt = view.indexOf(Attribute.Data);
  if (peerAt < 0 || !view.xorAddressAt(peerAt, peer)) return state.drop("malformed");
  // RFC 8656 §11.4, §11.6: what is of an address without a permission was not asked for.
  if (state.findPermission(peer) === undefined) return state.drop("no-permission");
  if (dataAt < 0) return handleIcmp(state, view, peer);
  return state.incoming(peer, view.offsetAt(dataAt), view.lengthAt(dataAt));
}

/** A Data indication with an ICMP attribute instead of data. */
function handleIcmp(state: ClientState, view: StunView, peer: PeerAddress): undefined {
  const value = view.bytes(Attribute.Icmp);
  const icmp = value && decodeIcmp(peer.family, value);
  if (icmp === undefined) return state.drop("malformed");
  state.tell({ type: "peer-error", peer: copyAddress(peer), icmp });
}
