/** What an agent knows of one stream: candidates, checks, answers. The evidence behind a reason. */
import type { Address } from "../base/address.ts";
import type { Candidate } from "./candidate.ts";
import type { Checklist, ListedComponent } from "./checklist.ts";
import type { PortRange } from "./hard-nat/guesses.ts";
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

/** How hard NATs were probed, for one component. */
export interface ProbingReport {
  readonly component: number;
  /** One probe from each of many sockets, or from one socket to each of many ports. */
  readonly part: "open" | "guess";
  readonly probes: number;
  /** From which the ports were drawn that could not be predicted; undefined: none were. */
  readonly range: Readonly<PortRange> | undefined;
  readonly isOver: boolean;
}

export interface IceReport {
  readonly local: readonly Candidate[];
  readonly remote: readonly Candidate[];
  readonly pairs: readonly PairReport[];
  readonly servers: readonly ServerReport[];
  /** Why allocations failed: sentences. */
  readonly relayFailures: readonly string[];
  /** Why candidates of the peer that have names could not be used: sentences. */
  readonly nameFailures: readonly string[];
  /** Why relays refuse peers: sentences. */
  readonly refusedPeers: readonly string[];
  /** Where ports of the peer's NAT were guessed. */
  readonly probing: readonly ProbingReport[];
  /** Messages that were sealed with other credentials. */
  readonly unsealed: number;
}

export function plain({ foundation, component, priority, address, type, related }: Candidate): Candidate {
  return { foundation, component, priority, address, type, related };
}

function probingOf({ hardNats }: AgentState, component: ListedComponent): ProbingReport[] {
  const attempt = hardNats.attempts.get(component);
  if (attempt === undefined) return [];
  const { plan, probes, isSpent } = attempt;
  const range = plan.part === "guess" ? plan.range : undefined;
  return [{ component: component.id, part: plan.part, probes, range, isOver: isSpent }];
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
    nameFailures: [...list.nameFailures],
    refusedPeers: bases.flatMap(({ permissions }) =>
      permissions.filter((one) => one.state === "refused").map(({ why }) => why),
    ),
    probing: list.components.flatMap((component) => probingOf(state, component)),
    unsealed: list.unsealed,
  };
}
