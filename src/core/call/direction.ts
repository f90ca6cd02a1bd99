/** Which way a stream goes, and what hold does to it (RFC 3264 §5.1, §6.1, §8.4). */
import type { Direction } from "../sdp/attributes.ts";

export function sends(direction: Direction): boolean {
  return direction === "sendrecv" || direction === "sendonly";
}

export function receives(direction: Direction): boolean {
  return direction === "sendrecv" || direction === "recvonly";
}

export function directionFrom(isSending: boolean, isReceiving: boolean): Direction {
  if (isSending) return isReceiving ? "sendrecv" : "sendonly";
  return isReceiving ? "recvonly" : "inactive";
}

/** The same stream as the other party sees it. */
export function reversed(direction: Direction): Direction {
  return directionFrom(receives(direction), sends(direction));
}

/** RFC 3264 §6.1: what an answer says where this was offered and `wanted` is what the answerer would like. */
export function answeredDirection(offered: Direction, wanted: Direction): Direction {
  return directionFrom(receives(offered) && sends(wanted), sends(offered) && receives(wanted));
}

/** RFC 3264 §8.4: who holds goes on sending (music, perhaps) and hears nothing. */
export function held(direction: Direction): Direction {
  return directionFrom(sends(direction), false);
}
