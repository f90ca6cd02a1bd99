/** What an agent is told when it starts. Times are in milliseconds. */
import type { Address } from "../base/address.ts";

export type IceRole = "controlling" | "controlled";

export interface IceConfig {
  /** RFC 8445 §6.1.1: who made the first offer is controlling. */
  readonly role: IceRole;
  /** RFC 8445 §2.5: a lite agent has a public address, gathers nothing, and answers checks without making any. */
  readonly isLite: boolean;
  /** Of each stream the numbers of its components: RTP and RTCP apart are `[1, 2]`. */
  readonly streams: readonly (readonly number[])[];
  /** Asked for server-reflexive candidates, the first ones first. */
  readonly stunServers: readonly Readonly<Address>[];
  /** `relay`: nothing but relayed candidates is told or used, so that the peer learns no address of this host. */
  readonly policy: "all" | "relay";
  /** Data may pass a relay before it is known that nothing better works. */
  readonly relayFirst: boolean;
  /** Where ordinary checks find no direct path, ports of the peer's NAT are guessed, if the peer does so too. */
  readonly hardNats: boolean;
  /** Between two transactions (RFC 8445 §14.2). */
  readonly ta: number;
  /** How long servers may take before gathering is called done. */
  readonly gatheringBudget: number;
  /** Pairs at once, over all streams (RFC 8445 §6.1.2.5). */
  readonly maxPairs: number;
  /** Candidates of the peer at once, for each stream. */
  readonly maxRemoteCandidates: number;
}

export const DEFAULT_ICE_CONFIG: IceConfig = {
  role: "controlling",
  isLite: false,
  streams: [[1]],
  stunServers: [],
  policy: "all",
  relayFirst: false,
  hardNats: false,
  // RFC 8445 §14.2: 50 ms unless both agents agree on another.
  ta: 50,
  gatheringBudget: 2_000,
  // RFC 8445 §6.1.2.5: 100 by default.
  maxPairs: 100,
  maxRemoteCandidates: 60,
};
