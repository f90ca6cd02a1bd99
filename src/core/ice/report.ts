/** What an agent knows of one stream: candidates, checks, answers. The evidence behind a reason. */
import type { Address } from "../base/address.ts";
import type { Candidate } from "./candidate.ts";
import type { Checklist } from "./checklist.ts";
import type { PairFailure, PairState } from "./pair.ts";
import type { AgentState } from "./state.ts";

export interface PairReport {
  readonly local: Candidate;
  readonly remote: Candidate;
  readonly state: PairState;
  readonly failure: PairFailure | undefined;
  readonly kind: "direct" | "relayed";
  /** Datagrams that its checks took. */
  readonly checksSent: number;
  /** Something that is the peer's without doubt came this way. */
  readonly isHeard: boolean;
  readonly isValid: boolean;
  readonly isSelected: boolean;
  readonly roundTrip: number | undefined;
  /** Of the application. */
  readonly packetsSent: number;
  readonly bytesSent: number;
}

export interface ServerReport {
  readonly server: Readonly<Address>;
  /** The socket that asked. */
  readonly from: Readonly<Address>;
  /** As the server sees it; undefined: it has not answered. */
  readonly mapped: Readonly<Address> | undefined;
}

export interface IceReport {
  readonly local: readonly Candidate[];
  readonly remote: readonly Candidate[];
  readonly pairs: readonly PairReport[];
  readonly servers: readonly ServerReport[];
  /** Why allocations failed: sentences. */
  readonly relayFailures: readonly string[];
  /** Why relays refuse peers: sentences. */
  readonly refusedPeers: readonly string[];
  /** Messages that were sealed with other credentials. */
  readonly unsealed: number;
}

export function plain({ foundation, component, priority, address, type, related }: Candidate): Candidate {
  return { foundation, component, priority, address, type, related };
}

export function reportOf(state: AgentState, list: Checklist): IceReport {
  const { stream } = list;
  const bases = [...state.bases.values()].filter((base) => base.stream === stream);
  return {
    local: state.locals.filter(({ base }) => base.stream === stream).map(plain),
    remote: list.remotes.map(plain),
    pairs: list.pairs.map((pair) => ({
      local: plain(pair.mapped ?? pair.local),
      remote: plain(pair.remote),
      state: pair.state,
      failure: pair.failure,
      kind: pair.isRelayed ? "relayed" : "direct",
      checksSent: pair.checksSent,
      isHeard: pair.isHeard,
      isValid: pair.isValid,
      isSelected: list.component(pair.component).selected === pair,
      roundTrip: pair.roundTrip,
      packetsSent: pair.packetsSent,
      bytesSent: pair.bytesSent,
    })),
    servers: bases
      .filter(({ kind }) => kind === "host")
      .flatMap((base) => state.config.stunServers.map((server) => ({ base, server })))
      .filter(({ base, server }) => base.address.family === server.family)
      .map(({ base, server }) => ({
        server,
        from: base.address,
        mapped: base.sightings.findLast((one) => one.server === server)?.mapped,
      })),
    relayFailures: [...state.relayFailures],
    refusedPeers: bases.flatMap(({ permissions }) =>
      permissions.filter((one) => one.state === "refused").map(({ why }) => why),
    ),
    unsealed: list.unsealed,
  };
}
