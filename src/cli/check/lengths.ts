/** What the lengths of datagrams that pass mean for a call. */
import type { BehaviorReport } from "../../core/stun/behavior/report.ts";

/** Of an IP packet on Ethernet; longer ones travel in fragments. */
const ETHERNET = 1500;

export interface LengthJudgement {
  readonly fails: readonly string[];
  readonly change: readonly string[];
}

/** Voice is short; video, screens and TLS handshakes are as long as the sender thinks that they may be. */
export function judgeLengths({ passages }: BehaviorReport): LengthJudgement {
  if (!passages.known) return { fails: [], change: [] };
  const passing = passages.value.filter(({ passes }) => passes !== "not").map(({ bytes }) => bytes);
  const lost = passages.value.filter(({ passes }) => passes === "not").map(({ bytes }) => bytes);
  const longest = Math.max(...passing.filter((bytes) => bytes <= ETHERNET));
  const shortestLost = Math.min(...lost.filter((bytes) => bytes > longest));
  // Where none passes the server may not answer such, and nothing is known.
  if (passing.length === 0 || longest === Number.NEGATIVE_INFINITY) return { fails: [], change: [] };
  if (shortestLost <= ETHERNET) {
    return {
      fails: [
        `Video and screens may freeze: datagrams of ${longest} bytes pass and of ${shortestLost} are lost without a word, as in a VPN or another tunnel. Voice is shorter.`,
      ],
      change: [`Set the MTU of this network to ${longest}, or let ICMP (“packet too big”) through the firewall.`],
    };
  }
  if (Number.isFinite(shortestLost)) {
    return {
      fails: ["Datagrams that need fragments are lost: SIP over UDP with long messages."],
      change: ["Use SIP over TCP or TLS."],
    };
  }
  return { fails: [], change: [] };
}
