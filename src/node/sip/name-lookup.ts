/** Asks the DNS which servers a name stands for, and for how long that is so. */
import { promises } from "node:dns";
import {
  type DnsQuestion,
  type DnsRecord,
  isLocalName,
  type Resolution,
  type ServerEndpoint,
} from "../../core/base/resolution.ts";

/** A DNS server that is silent costs this much, twice, for each question. */
const timeoutMs = 2_000;

/** What Node does not tell of SRV and NAPTR: nothing is believed for longer. In seconds. */
const longestLife = 300;

export interface Lookup {
  readonly endpoints: readonly ServerEndpoint[];
  /** Seconds. */
  readonly lifetime: number;
  /** Some question has failed, so that there may be more: a name that does not exist is an answer. */
  readonly hasFailed: boolean;
}

interface Answer {
  readonly records: readonly DnsRecord[];
  readonly ttl?: number;
}

const noRecords: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

/** `servers` are asked instead of the system's, as `192.0.2.1:53`. Rejects with the signal's reason. */
export async function lookUp(
  resolution: Resolution,
  signal: AbortSignal,
  servers: readonly string[] = [],
): Promise<Lookup> {
  const resolver = new promises.Resolver({ timeout: timeoutMs, tries: 2 });
  if (servers.length > 0) resolver.setServers(servers);
  const cancel = (): void => resolver.cancel();
  signal.addEventListener("abort", cancel);
  let lifetime = longestLife;
  let hasFailed = false;
  try {
    let step = resolution.next();
    while (!step.done) {
      const answer: Answer = await ask(resolver, step.value).catch((error: NodeJS.ErrnoException) => {
        if (!noRecords.has(error.code ?? "")) hasFailed = true;
        return { records: [] };
      });
      signal.throwIfAborted();
      lifetime = Math.min(lifetime, answer.ttl ?? longestLife);
      step = resolution.next(answer.records);
    }
    return { endpoints: step.value, lifetime, hasFailed };
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

async function ask(resolver: promises.Resolver, { type, name }: DnsQuestion): Promise<Answer> {
  // Node's records have a `type` of their own, which it does not always fill.
  if (type === "SRV") {
    const found = await resolver.resolveSrv(name);
    return { records: found.map(({ name: target, ...record }) => ({ ...record, type, target })) };
  }
  if (type === "NAPTR") {
    const found = await resolver.resolveNaptr(name);
    return { records: found.map(({ service: services, ...record }) => ({ ...record, type, services })) };
  }
  return askAddresses(resolver, name);
}

/** IPv4 first, which nearly every provider has. What the DNS does not know may be in the hosts file. */
async function askAddresses(resolver: promises.Resolver, name: string): Promise<Answer> {
  if (isLocalName(name)) return askHost(name);
  const asked = await Promise.allSettled([
    resolver.resolve4(name, { ttl: true }),
    resolver.resolve6(name, { ttl: true }),
  ]);
  const found = asked.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  if (found.length > 0) {
    const records = found.map(({ address }) => ({ type: "address", address }) as const);
    return { records, ttl: Math.min(...found.map(({ ttl }) => ttl)) };
  }
  const failure = asked.flatMap((one) =>
    one.status === "rejected" && !noRecords.has(one.reason.code) ? [one] : [],
  )[0];
  if (failure !== undefined) throw failure.reason;
  return askHost(name);
}

async function askHost(name: string): Promise<Answer> {
  const found = await promises.lookup(name, { all: true });
  return { records: found.map(({ address }) => ({ type: "address", address })) };
}
