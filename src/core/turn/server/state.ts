/** What the procedures of the server share. */
import { type Address, blankAddress, type PeerAddress } from "../../base/address.ts";
import { readU32 } from "../../base/bytes.ts";
import { Deadlines } from "../../base/deadlines.ts";
import { type IpFields, NO_FIELDS } from "../../base/ip-fields.ts";
import type { Instant } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import type { Ports } from "../../base/ports.ts";
import { RelayPlaces } from "../../base/relay-places.ts";
import { SourceBudget } from "../../base/source-budget.ts";
import type { ErrorCode } from "../../stun/registry.ts";
import { SecurityFeature } from "../../stun/security-features.ts";
import { StunWriter } from "../../stun/writer.ts";
import { Account } from "./account.ts";
import type { Allocation, Expiring, Reservation } from "./allocation.ts";
import type { Claim, Loan } from "./claims.ts";
import type { ClientPath } from "./client-path.ts";
import { ClientTable } from "./client-table.ts";
import type { SharedSecret, TurnServerConfig } from "./config.ts";
import { UserCandidates } from "./credentials.ts";
import { DiscoverySites } from "./discovery-sites.ts";
import type { Flow, Forward, RelayId } from "./flow.ts";
import { Nonces } from "./nonces.ts";
import type { TurnServerOutput } from "./outputs.ts";
import { Overload } from "./overload.ts";
import { ErrorBudget } from "./peer-errors.ts";
import { PeerGate } from "./peer-policy.ts";
import { PendingLookups } from "./pending-lookups.ts";
import { type AllocationLimits, AllocationQuota, allocationLimits, LocalCounts } from "./quota.ts";
import { RelayTable } from "./relay-table.ts";
import { ReservationTokens } from "./reservation-tokens.ts";
import { type ClaimId, firstClaim, NOBODY, type Shard, type ShardMessage } from "./shard.ts";
import { createStats, type DropReason, type TurnServerStats } from "./stats.ts";

const NO_CLIENT: ClientPath = {
  transport: "udp",
  listener: 0,
  local: blankAddress(),
  remote: blankAddress(),
  connection: 0,
};

export class ServerState {
  readonly config: TurnServerConfig;
  readonly ports: Ports;
  readonly stats: TurnServerStats = createStats();
  readonly outputs: OutputQueue<TurnServerOutput> = new OutputQueue();
  readonly deadlines: Deadlines<Expiring> = new Deadlines();
  readonly writer: StunWriter = new StunWriter();
  readonly clients: ClientTable;
  readonly relays: RelayTable;
  readonly places: RelayPlaces;
  readonly reservations: Set<Reservation> = new Set();
  /** Undefined for a server that is alone. */
  readonly shard: Shard | undefined;
  readonly tokens: ReservationTokens | undefined;
  readonly claims: Map<ClaimId, Claim> = new Map();
  readonly loans: Set<Loan> = new Set();
  lastClaim: ClaimId;
  readonly gate: PeerGate;
  readonly quota: AllocationQuota;
  /** Of each allocation. */
  readonly limits: AllocationLimits;
  readonly nonces: Nonces;
  readonly lookups: PendingLookups = new PendingLookups();
  readonly users: UserCandidates;
  readonly overload: Overload = new Overload();
  readonly errorBudget: ErrorBudget = new ErrorBudget();
  /** For whoever has not proven a return path. */
  readonly strangers: SourceBudget;
  /** Where NAT behaviour discovery is served; nowhere unless told. */
  readonly discovery: DiscoverySites;
  /** For requests with a valid nonce. */
  readonly acquaintances: SourceBudget;
  secrets: readonly SharedSecret[];
  draining = false;
  lastAllocationId = 0;
  /** The peer of the Send indication at hand. */
  readonly sendPeer: Address = blankAddress();
  readonly #sendFlow: { -readonly [K in keyof Flow]: Flow[K] };
  readonly #forward: Forward;

  constructor(config: TurnServerConfig, ports: Ports, shard?: Shard) {
    this.config = config;
    this.ports = ports;
    this.shard = shard;
    this.tokens = shard && new ReservationTokens(ports.crypto, shard.tokenKey, shard.index);
    this.lastClaim = firstClaim(shard?.incarnation ?? 0);
    this.relays = new RelayTable(shard?.owners);
    this.secrets = config.sharedSecrets;
    this.users = new UserCandidates(ports.crypto);
    const seed = readU32(ports.random.bytes(4), 0);
    this.clients = new ClientTable(seed);
    this.places = new RelayPlaces(config.relays, config.relayPorts);
    this.gate = new PeerGate(config.peers, config.relays, config.ownAddresses);
    this.quota = new AllocationQuota(config.quotas, shard?.counts ?? new LocalCounts(seed));
    this.limits = allocationLimits(config.quotas);
    const { unauthenticatedPerSecond, requestsPerSecond } = config.budgets;
    const shared = shard?.budgets;
    const which = shared?.seed ?? seed;
    this.strangers = new SourceBudget(unauthenticatedPerSecond, which, undefined, shared?.strangers);
    this.acquaintances = new SourceBudget(requestsPerSecond, which, undefined, shared?.acquaintances);
    this.discovery = new DiscoverySites(which, shared?.reflections);
    const anonymity = config.usernameAnonymity ? SecurityFeature.UsernameAnonymity : 0;
    const features = SecurityFeature.PasswordAlgorithms | anonymity;
    this.nonces = new Nonces(ports.crypto, config.nonceKeys, config.nonceLifetime, features);
    this.#sendFlow = {
      toward: "peer",
      client: NO_CLIENT,
      channel: 0,
      relay: 0,
      peer: this.sendPeer,
      account: new Account(this.stats, undefined, undefined),
      packets: 0,
      bytes: 0,
      until: 0 as Instant,
    };
    const source = blankAddress();
    this.#forward = { flow: this.#sendFlow, offset: 0, length: 0, fields: NO_FIELDS, shard: NOBODY, source };
  }

  /** The flow of Send indications: its peer, `sendPeer`, is another for every packet, so it is written anew each time. */
  sendFlow({ path, account }: Allocation, relay: RelayId): Flow {
    this.#sendFlow.client = path;
    this.#sendFlow.account = account;
    this.#sendFlow.relay = relay;
    return this.#sendFlow;
  }

  /** The one object in which payloads are handed out. */
  forwardBy(flow: Flow, offset: number, length: number, fields: IpFields): Forward {
    this.#forward.flow = flow;
    this.#forward.offset = offset;
    this.#forward.length = length;
    this.#forward.fields = fields;
    this.#forward.shard = NOBODY;
    return this.#forward;
  }

  /** The same object, for what another shard takes to its client. */
  handOverTo(
    shard: number,
    source: PeerAddress,
    flow: Flow,
    offset: number,
    length: number,
    fields: IpFields,
  ): Forward {
    const forward = this.forwardBy(flow, offset, length, fields);
    forward.shard = shard;
    forward.source = source;
    return forward;
  }

  tell(shard: number, message: ShardMessage): void {
    this.outputs.push({ kind: "tell", shard, message });
  }

  drop(reason: DropReason): undefined {
    this.stats.drops[reason]++;
    return undefined;
  }

  countError(code: ErrorCode): void {
    this.stats.errors[code] = (this.stats.errors[code] as number) + 1;
  }

  /** Seconds from now until an instant, rounded down; what LIFETIME says. */
  secondsUntil(deadline: Instant, now: Instant): number {
    return Math.max(0, Math.floor((deadline - now) / 1000));
  }
}
