/** Asks the servers all there is to ask, one thing after another where one would disturb the other. */
import type { Address, Family } from "../../core/base/address.ts";
import type { EchoFigures } from "../../core/media/probe-stream.ts";
import type { DiscoveryStage } from "../../core/stun/behavior/procedure.ts";
import type { BehaviorReport } from "../../core/stun/behavior/report.ts";
import { BindingSocket } from "../../node/binding-socket.ts";
import { localAddressToward } from "../../node/local-address.ts";
import { discoverNat } from "../../node/nat-discovery.ts";
import { measureEcho } from "../../node/probe-run.ts";
import { reachStream } from "../../node/reach.ts";
import { parseProxy } from "../../node/turn-client/http-proxy.ts";
import type { Login } from "./login.ts";
import { type RelayTrial, tryRelay } from "./relay-trial.ts";
import { type Target, wayOf } from "./targets.ts";
import type { FamilyAsked, Measurements, PingResult, StreamResult } from "./verdict.ts";

export interface Servers {
  readonly targets: readonly Target[];
  /** Families that servers have, and this host has not. */
  readonly unroutable: readonly Family[];
  /** By URI. */
  readonly logins: ReadonlyMap<string, Login>;
  /** By host. */
  readonly proxy: (host: string) => string | undefined;
}

export interface MeasureOptions {
  readonly lifetime: boolean;
  /** Of speech for each relay. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

const stages: Readonly<Record<DiscoveryStage, string>> = {
  reachability: "asking the servers",
  ports: "watching how ports are chosen",
  "mapping-and-filtering": "trying what the NAT maps, filters and turns around",
  lengths: "sending long datagrams",
  tcp: "trying TCP",
  lifetime: "waiting for bindings to die",
};

export async function measure(servers: Servers, options: MeasureOptions): Promise<Measurements> {
  const { targets, unroutable } = servers;
  const udp = targets.filter(({ transport }) => transport === "udp");
  const reports: BehaviorReport[] = [];
  const families: FamilyAsked[] = [];
  for (const family of [4, 6] as const) {
    const asked = distinct(udp.map(({ address }) => address).filter((address) => address.family === family));
    const report = asked.length === 0 ? undefined : await discover(family, asked, options);
    const isUnroutable = unroutable.includes(family) || (asked.length > 0 && report === undefined);
    families.push({ family, asked: report !== undefined ? "yes" : isUnroutable ? "no-local-address" : "no-server" });
    if (report !== undefined) reports.push(report);
  }
  const [pings, streams] = await Promise.all([pingAll(udp, options), reachAll(servers, options)]);
  const relays = await tryRelays(servers, { pings, streams }, options);
  return { udp, reports, families, pings, streams, relays };
}

function distinct(addresses: readonly Readonly<Address>[]): Readonly<Address>[] {
  return [...new Map(addresses.map((one) => [JSON.stringify(one), one])).values()];
}

/** Undefined where the host has no address of that family to ask from. */
async function discover(
  family: Family,
  servers: readonly Readonly<Address>[],
  { lifetime, signal, progress }: MeasureOptions,
): Promise<BehaviorReport | undefined> {
  const local = await localAddressToward(servers[0] as Address);
  if (local === undefined) return undefined;
  return await discoverNat({
    local,
    servers,
    tcp: true,
    gateway: true,
    signal,
    ...(lifetime ? { lifetime: { first: 15, longest: 600, precision: 5 } } : {}),
    onStage: (stage) => progress(`IPv${family}: ${stages[stage]} …`),
  });
}

/** Enough to see loss that a call would notice, in a second. */
const pingSchedule = { packets: 20, interval: 50, patience: 1_000 };

async function pingAll(targets: readonly Target[], { signal, progress }: MeasureOptions): Promise<PingResult[]> {
  progress("trying UDP, TCP and TLS …");
  return Promise.all(targets.map(async (target) => ({ target, figures: await ping(target.address, signal) })));
}

async function ping(server: Readonly<Address>, signal: AbortSignal): Promise<EchoFigures> {
  using socket = await BindingSocket.open(server);
  return await measureEcho(socket, pingSchedule, { signal });
}

async function reachAll({ targets, proxy }: Servers, { signal }: MeasureOptions): Promise<StreamResult[]> {
  return Promise.all(
    targets.flatMap((target) => {
      const { transport, address, host, throughProxy } = target;
      if (transport === "udp") return [];
      const through = throughProxy ? proxy(host) : undefined;
      const options = { signal, proxy: through === undefined ? undefined : parseProxy(through) };
      return [reachStream(transport, address, host, options).then((reached) => ({ target, reached }))];
    }),
  );
}

type Seen = Pick<Measurements, "pings" | "streams">;

function hasAnswered({ pings, streams }: Seen, target: Target): boolean {
  if (target.transport !== "udp") return streams.some((one) => one.target === target && one.reached !== undefined);
  return pings.some(({ target: one, figures }) => one === target && figures.roundTrip !== undefined);
}

/**
 * Those that answered one after another, so that they do not disturb each other. Those that did not are asked all the
 * same, at once: some TURN servers answer no Binding.
 */
async function tryRelays(servers: Servers, seen: Seen, options: MeasureOptions): Promise<RelayTrial[]> {
  const { logins, proxy, targets } = servers;
  const { seconds, signal, progress } = options;
  const relays = targets.filter(({ relays, uri }) => relays && logins.has(uri));
  const attempt = (target: Target, onSecond?: (second: number) => void): Promise<RelayTrial> => {
    const more = onSecond && { onSecond };
    return tryRelay(target, logins.get(target.uri) as Login, { proxy: proxy(target.host), seconds, signal, ...more });
  };
  const trials = new Map<Target, RelayTrial>();
  for (const target of relays.filter((one) => hasAnswered(seen, one))) {
    const what = `the relay over ${wayOf(target)}${target.throughProxy ? "" : `, IPv${target.address.family}`}`;
    progress(`${what}: trying the credentials …`);
    trials.set(target, await attempt(target, (second) => progress(`${what}: speaking, ${second} of ${seconds} s …`)));
  }
  const silent = relays.filter((one) => !trials.has(one));
  if (silent.length > 0) progress("asking the relays that did not answer …");
  for (const trial of await Promise.all(silent.map((target) => attempt(target)))) trials.set(trial.target, trial);
  return relays.map((target) => trials.get(target) as RelayTrial);
}
