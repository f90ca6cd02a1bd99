/** What the discovery machine asks of its shell. */
import type { Address } from "../../base/address.ts";
import type { DiscoveryStage, ProbeSocketId } from "./procedure.ts";
import type { BehaviorReport } from "./report.ts";

export type NatDiscoveryOutput =
  /** A UDP socket on the local address, any port. Answered by `handleOpened` or `handleFailed`. */
  | { kind: "open"; socket: ProbeSocketId }
  /** A TCP connection; `localPort` 0: from any port. Answered the same way. */
  | { kind: "connect"; socket: ProbeSocketId; to: Readonly<Address>; localPort: number }
  /** One datagram, which goes `hopLimit` hops at most (undefined: the system's), or a whole message on a connection. */
  | {
      kind: "send";
      socket: ProbeSocketId;
      to: Readonly<Address>;
      data: Uint8Array;
      hopLimit: number | undefined;
    }
  /** The external address of the default gateway is wanted. Answered by `handleGateway`. */
  | { kind: "ask-gateway" }
  | { kind: "close"; socket: ProbeSocketId }
  | { kind: "stage"; stage: DiscoveryStage }
  /** The last output. */
  | { kind: "report"; report: BehaviorReport };
