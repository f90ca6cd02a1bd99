/** Drives a SIP edge. Media has an input of its own: what it returns leaves at once, and nothing is made for a packet. */
import type { Address } from "../../core/base/address.ts";
import type { EdgeOutput } from "../../core/edge/outputs.ts";
import type { SipEdge } from "../../core/edge/sip-edge.ts";
import type { PortId, Route } from "../../core/relay/outputs.ts";
import { Driver } from "../driver.ts";

export class SipDriver extends Driver<SipEdge, EdgeOutput> {
  /**
   * One datagram that came to a port of the relay. What the edge asks for because of it, the answer to a check say, is
   * done at once; a packet sets no timer.
   */
  packet(data: Uint8Array, length: number, from: Readonly<Address>, port: PortId): Route | undefined {
    if (this.stopped) return undefined;
    try {
      const route = this.machine.handlePacket(data, length, from, port, this.now());
      if (this.machine.hasOutput) this.settle();
      return route;
    } catch (cause) {
      this.fail(cause);
      return undefined;
    }
  }

  /** One that came without any hops left. */
  spent(port: PortId): void {
    if (!this.stopped) this.machine.handleSpent(port);
  }
}
