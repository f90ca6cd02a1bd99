/** The whole of a discovery, in the order in which one test does not spoil another (RFC 5780 §4.5). */
import { type Address, copyAddress, type Family, sameAddress, sameIp } from "../../base/address.ts";
import { classicName } from "./classic-name.ts";
import { confirmHops, judgeHops, tryHops } from "./filter-hops.ts";
import { filteringFrom, judgeFiltering } from "./filtering.ts";
import { hairpins, judgeHairpins, type MappedSocket } from "./hairpinning.ts";
import { isSharedAddress, judgeLayers } from "./layers.ts";
import { bindingLifetime, type LifetimeSearch } from "./lifetime.ts";
import { mappedOf, type Sighting, tcpMapping, udpMapping } from "./mapping.ts";
import { passages } from "./passages.ts";
import { type PortPair, portAllocation } from "./port-allocation.ts";
import { otherAddress, type Probes, type Server } from "./probes.ts";
import {
  type Answer,
  askGateway,
  enter,
  type Outcome,
  open,
  type ProbeSocket,
  type Procedure,
  together,
} from "./procedure.ts";
import {
  type BehaviorReport,
  type Finding,
  known,
  type LayerEvidence,
  type Mapping,
  type ServerSeen,
  type UnknownReason,
  unknown,
} from "./report.ts";

export interface DiscoveryTests {
  /** Mapping over TCP. */
  readonly tcp: boolean;
  /** Whether the default gateway, where there is a NAT, is asked for its external address. */
  readonly gateway: boolean;
  /** Takes minutes; undefined: is not tested. */
  readonly lifetime: LifetimeSearch | undefined;
}

/** Sockets besides the main one: one for filtering and two that try to meet. All of them show how ports are chosen. */
const MORE_SOCKETS = 3;

/** What one socket saw of one server. */
interface Seen extends ServerSeen {
  readonly answer: Answer | undefined;
}

export function* discover(
  probes: Probes,
  family: Family,
  servers: readonly Readonly<Address>[],
  tests: DiscoveryTests,
): Procedure<BehaviorReport> {
  yield* enter("reachability");
  const main = yield* open({ kind: "open", transport: "udp" });
  if (main === undefined) return nothing(family, undefined, servers, "no-socket");
  const seen: Seen[] = [];
  for (const server of servers) seen.push(yield* look(probes, main, server));
  const best = seen.find(({ other }) => other !== undefined) ?? seen.find(({ mapped }) => mapped !== undefined);
  if (best?.answer === undefined || best.mapped === undefined) return nothing(family, main.local, servers, "no-answer");
  return yield* new Discovery(probes, main, seen, best as Seen & Reached).run(tests);
}

interface Reached {
  readonly mapped: Readonly<Address>;
  readonly answer: Answer;
}

function* look(probes: Probes, socket: ProbeSocket, server: Readonly<Address>): Procedure<Seen> {
  const outcome = yield* probes.plain(socket, server);
  const mapped = mappedOf(outcome);
  const answer = outcome.kind === "success" ? outcome : undefined;
  return { server, mapped, other: otherAddress(server, answer?.other), answer };
}

class Discovery {
  readonly #probes: Probes;
  readonly #main: ProbeSocket;
  readonly #seen: readonly Seen[];
  readonly #first: Seen & Reached;
  readonly #server: Server;
  /** Mappings toward the server, in the order in which they were made. */
  readonly #pairs: PortPair[] = [];
  readonly #public: Readonly<Address>[] = [];

  constructor(probes: Probes, main: ProbeSocket, seen: readonly Seen[], first: Seen & Reached) {
    this.#probes = probes;
    this.#main = main;
    this.#seen = seen;
    this.#first = first;
    this.#server = { address: first.server, other: first.other };
    for (const { mapped } of seen) if (mapped !== undefined) this.#note(mapped);
    this.#pairs.push({ local: main.local.port, mapped: first.mapped.port });
  }

  *run(tests: DiscoveryTests): Procedure<BehaviorReport> {
    const translated = !sameAddress(this.#first.mapped, this.#main.local);
    const rewritten = yield* this.#rewriting();
    yield* enter("ports");
    const more = yield* this.#moreSockets();
    const [fresh, ...pair] = more;
    yield* enter("mapping-and-filtering");
    const [mapping, outcomes, echoes, hops, gatewayAddress] = yield* together(
      this.#mapping(translated),
      this.#filtering(fresh?.socket),
      this.#hairpins(pair, translated),
      tryHops(this.#probes, this.#server),
      this.#gateway(tests.gateway, translated),
    );
    const filtering = yield* judgeFiltering(this.#probes, this.#main, this.#server, outcomes, mapping);
    yield* enter("lengths");
    const [lengths, filterHops] = yield* together(
      passages(this.#probes, this.#main, this.#server.address),
      confirmHops(this.#probes, this.#server, judgeHops(hops, mapping, filtering)),
    );
    const layerEvidence = { sharedAddress: isSharedAddress(this.#main.local), gatewayAddress, filterHops };
    const tcp = yield* this.#tcp(tests.tcp);
    const lifetime = yield* this.#lifetime(tests.lifetime, translated);
    return {
      family: this.#main.local.family,
      local: this.#main.local,
      servers: this.#seen.map(({ server, mapped, other: another }) => ({ server, mapped, other: another })),
      publicAddresses: this.#public,
      translated: known(translated),
      rewritten,
      mapping,
      filtering,
      classicName: classicName(known(translated), mapping, filtering),
      ports: translated ? portAllocation(this.#pairs) : unknown("no-nat"),
      hairpinning:
        echoes === undefined
          ? unknown(translated ? "no-socket" : "no-nat")
          : judgeHairpins(echoes, this.#main.local, mapping),
      lifetime,
      layers: judgeLayers(translated, layerEvidence, this.#public),
      layerEvidence,
      ...lengths,
      tcpMapping: tcp,
    };
  }

  #note(mapped: Readonly<Address>): void {
    if (!this.#public.some((one) => sameIp(one, mapped))) this.#public.push({ ...copyAddress(mapped), port: 0 });
  }

  /** RFC 5780 §3.6: an address that somebody rewrites inside the packet differs from the one that cannot be seen there. */
  *#rewriting(): Procedure<Finding<boolean>> {
    const { mapped, answer } = this.#first;
    const plain = answer.plain ?? mappedOf(yield* this.#probes.classic(this.#main, this.#server.address));
    return plain === undefined ? unknown("no-answer") : known(!sameAddress(plain, mapped));
  }

  /** One after the other, so that their order is the NAT's. */
  *#moreSockets(): Procedure<MappedSocket[]> {
    const found: MappedSocket[] = [];
    for (let i = 0; i < MORE_SOCKETS; i++) {
      const socket = yield* open({ kind: "open", transport: "udp" });
      const mapped = socket && mappedOf(yield* this.#probes.plain(socket, this.#server.address));
      if (socket === undefined || mapped === undefined) continue;
      found.push({ socket, mapped });
      this.#pairs.push({ local: socket.local.port, mapped: mapped.port });
      this.#note(mapped);
    }
    return found;
  }

  *#mapping(translated: boolean): Procedure<Finding<Mapping>> {
    // RFC 5780 §4.3: without a NAT the mapping is endpoint-independent.
    if (!translated) return known("endpoint-independent");
    const sightings = this.#seen.flatMap(({ server, mapped }): Sighting[] => (mapped ? [{ server, mapped }] : []));
    const first = { server: this.#first.server, mapped: this.#first.mapped };
    return yield* udpMapping(this.#probes, this.#main, this.#server, [first, ...sightings]);
  }

  *#filtering(fresh: ProbeSocket | undefined): Procedure<readonly [Outcome, Outcome] | undefined> {
    return fresh && (yield* filteringFrom(this.#probes, fresh, this.#server));
  }

  *#hairpins([one, two]: readonly MappedSocket[], translated: boolean): Procedure<readonly Outcome[] | undefined> {
    if (!translated || one === undefined || two === undefined) return undefined;
    return yield* hairpins(this.#probes, one, two);
  }

  *#gateway(wanted: boolean, translated: boolean): Procedure<LayerEvidence["gatewayAddress"]> {
    if (!wanted) return unknown("not-tested");
    if (!translated) return unknown("no-nat");
    // RFC 6886 §3.2: the address is one of IPv4.
    if (this.#main.local.family === 6) return unknown("not-tested");
    return yield* askGateway();
  }

  *#tcp(wanted: boolean): Procedure<Finding<Mapping>> {
    if (!wanted) return unknown("not-tested");
    yield* enter("tcp");
    return yield* tcpMapping(this.#probes, this.#server);
  }

  *#lifetime(search: LifetimeSearch | undefined, translated: boolean): Procedure<BehaviorReport["lifetime"]> {
    if (search === undefined) return unknown("not-tested");
    if (!translated) return unknown("no-nat");
    yield* enter("lifetime");
    return yield* bindingLifetime(this.#probes, this.#server.address, search);
  }
}

function nothing(
  family: Family,
  local: Readonly<Address> | undefined,
  servers: readonly Readonly<Address>[],
  why: UnknownReason,
): BehaviorReport {
  const none = unknown(why);
  return {
    family,
    local,
    servers: servers.map((server) => ({ server, mapped: undefined, other: undefined })),
    publicAddresses: [],
    translated: none,
    rewritten: none,
    mapping: none,
    filtering: none,
    classicName: none,
    ports: none,
    hairpinning: none,
    lifetime: none,
    layers: none,
    layerEvidence: {
      sharedAddress: local !== undefined && isSharedAddress(local),
      gatewayAddress: none,
      filterHops: none,
    },
    passages: none,
    longestDatagram: none,
    fragments: none,
    tcpMapping: none,
  };
}
