/** What a datagram on a media port is, told by its first bytes (RFC 7983 §7, RFC 5761 §4). */

export type PacketKind = "stun" | "zrtp" | "dtls" | "turn-channel" | "rtp" | "rtcp" | "other";

/** RFC 6189 §5: `ZRTP`, behind the first four bytes. */
const ZRTP_COOKIE = [0x5a, 0x52, 0x54, 0x50] as const;

export function packetKind(data: Uint8Array, length: number): PacketKind {
  if (length === 0) return "other";
  const first = data[0] as number;
  // RFC 7983 §7: 0 to 3 STUN, 16 to 19 ZRTP, 20 to 63 DTLS, 64 to 79 a TURN channel, 128 to 191 RTP and RTCP.
  if (first < 4) return "stun";
  if (first < 16) return "other";
  if (first < 20) return isZrtp(data, length) ? "zrtp" : "other";
  if (first < 64) return "dtls";
  if (first < 80) return "turn-channel";
  if (first < 128 || first > 191 || length < 2) return "other";
  // RFC 5761 §4: RTCP types 192 to 223 are RTP payload types 64 to 95 with the marker, which no stream with both uses.
  const type = data[1] as number;
  return type >= 192 && type <= 223 ? "rtcp" : "rtp";
}

function isZrtp(data: Uint8Array, length: number): boolean {
  return length >= 8 && ZRTP_COOKIE.every((byte, at) => data[4 + at] === byte);
}
