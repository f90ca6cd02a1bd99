/**
 * What one party says of a call: its streams, where it wants each, in which codecs, with which candidates and keys. No
 * signaling protocol's words: SDP is one way to write it (`sdp.ts`), Jingle will be another.
 */
import type { Address } from "../base/address.ts";
import type { Direction } from "../sdp/attributes.ts";
import type { Candidate } from "../sdp/candidate.ts";

export type { Candidate, Direction };

/** A transport address, or the name of a host with a port. */
export interface Place {
  /** The address or name as the party gave it. */
  readonly host: string;
  readonly port: number;
  /** With its port; undefined where `host` is a name. */
  readonly address: Readonly<Address> | undefined;
}

export interface Codec {
  /** 0 to 127: the number in its packets. */
  readonly payloadType: number;
  /** `PCMU`, `opus`, `telephone-event`, …; compared without regard to case. */
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
  /** What the codec's own format parameters are, as text; "" for none. */
  readonly parameters: string;
}

/** What carries a stream. `rtp`: RTP and RTCP; `udptl`: T.38; `datagrams`: something else over UDP; `stream`: over TCP. */
export type Carrier = "rtp" | "udptl" | "datagrams" | "stream";

/** RFC 4568: a key of SRTP that signaling carries. */
export interface SharedKey {
  readonly tag: number;
  readonly suite: string;
  readonly key: string;
  readonly parameters: readonly string[];
}

/** RFC 8122, RFC 5763: the certificate of a handshake on the media path, and who begins it. */
export interface Certificate {
  readonly hash: string;
  readonly fingerprint: string;
  readonly setup: "active" | "passive" | "actpass" | "holdconn" | undefined;
}

/** RFC 8839: what the party says for ICE. */
export interface IceDescription {
  readonly ufrag: string;
  readonly password: string;
  readonly isLite: boolean;
  readonly options: readonly string[];
  readonly candidates: readonly Candidate[];
  /** No further candidate follows. */
  readonly isEnd: boolean;
}

export interface StreamDescription {
  /** `audio`, `video`, `image`, … */
  readonly kind: string;
  readonly carrier: Carrier;
  /** How it is written in a session description: `RTP/AVP`, `udptl`, …; both sides say the same. */
  readonly profile: string;
  /** A name that survives when streams come and go (RFC 5888). */
  readonly name: string | undefined;
  /** The stream is refused, or has ended. Its place in the list stays. */
  readonly isRefused: boolean;
  /** As the party sees it. */
  readonly direction: Direction;
  /** The party wants nothing anywhere for now: the old way to hold (0.0.0.0). */
  readonly isUnplaced: boolean;
  /** Where the party wants media; undefined where it does not say. */
  readonly media: Place | undefined;
  /** Where it wants RTCP. The same as `media` where `isMultiplexed` is agreed. */
  readonly control: Place | undefined;
  /** RTCP on the port of RTP: wanted in an offer, agreed in an answer (RFC 5761). */
  readonly isMultiplexed: boolean;
  /** In order of preference; empty but for RTP. */
  readonly codecs: readonly Codec[];
  /** All formats by their names; for RTP payload types. */
  readonly formats: readonly string[];
  /** Milliseconds of sound in a packet. */
  readonly packetTime: number | undefined;
  readonly sharedKeys: readonly SharedKey[];
  readonly certificate: Certificate | undefined;
  readonly ice: IceDescription | undefined;
}

export interface CallDescription {
  readonly streams: readonly StreamDescription[];
}

/** Whether the party holds the stream: it wants to hear nothing, or wants it nowhere. */
export function isHeld({ direction, isUnplaced }: StreamDescription): boolean {
  return isUnplaced || direction === "sendonly" || direction === "inactive";
}
