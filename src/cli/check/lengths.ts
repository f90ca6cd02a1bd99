/** What the lengths of datagrams that pass mean for a call. */
import type { BehaviorReport } from "../../core/stun/behavior/report.ts";

export interface LengthJudgement {
  readonly fails: readonly string[];
  readonly change: readonly string[];
}

/** Voice is short; video, screens and TLS handshakes are as long as the sender thinks that they may be. */
export function judgeLengths({ longestDatagram, fragments }: BehaviorReport): LengthJudgement {
  const [fails, change]: [string[], string[]] = [[], []];
  if (longestDatagram.known && longestDatagram.value.lost !== undefined) {
    const { bytes, lost } = longestDatagram.value;
    fails.push(
      `Video and screens may freeze: datagrams of ${bytes} bytes pass and of ${lost} are lost without a word, as in a VPN or another tunnel. Voice is shorter.`,
    );
    change.push(`Set the MTU of this network to ${bytes}, or let ICMP (“packet too big”) through the firewall.`);
  }
  if (fragments.known && !fragments.value) {
    fails.push(
      "Datagrams that need fragments are lost: long SIP messages over UDP, and DTLS handshakes with long certificates.",
    );
    change.push("Use SIP over TCP or TLS, and certificates with elliptic curves, which are short.");
  }
  return { fails, change };
}
