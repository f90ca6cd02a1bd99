/** One TCP connection as a NAT sees it pass: how far it is, and how long it may be silent. */
import { after, type Instant } from "../../core/base/machine.ts";
import type { NatBehavior } from "../behavior.ts";
import { Flag, has, isOpening, type Segment } from "../tcp/segment.ts";

export type TcpLifetimes = Pick<NatBehavior, "tcpLifetime" | "tcpTransitoryLifetime">;

export class TcpSession {
  readonly #lifetimes: TcpLifetimes;
  readonly #hasSyn = { outbound: false, inbound: false };
  #isClosing = false;
  /** It is forgotten then, unless a segment passes before. */
  expires = 0 as Instant;

  constructor(lifetimes: TcpLifetimes) {
    this.#lifetimes = lifetimes;
  }

  /** A segment passes. */
  see(segment: Segment, direction: "outbound" | "inbound", now: Instant): void {
    if (this.#isClosing && isOpening(segment)) {
      this.#isClosing = this.#hasSyn.outbound = this.#hasSyn.inbound = false;
    }
    if (has(segment, Flag.Syn)) this.#hasSyn[direction] = true;
    if (has(segment, Flag.Fin | Flag.Rst)) this.#isClosing = true;
    // RFC 5382 REQ-5: two hours and four minutes once it is established, four minutes while it opens or closes.
    // RFC 7857 §2.2: after a RST too, which may be a stranger's.
    const { tcpLifetime, tcpTransitoryLifetime } = this.#lifetimes;
    this.expires = after(now, this.#isEstablished ? tcpLifetime : tcpTransitoryLifetime);
  }

  get #isEstablished(): boolean {
    return this.#hasSyn.outbound && this.#hasSyn.inbound && !this.#isClosing;
  }
}
