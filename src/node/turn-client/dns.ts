/** Asks the DNS what a resolution wants to know, by node:dns. */
import { type LookupAddress, promises } from "node:dns";
import type { DnsQuestion, DnsRecord, Resolution, ServerEndpoint } from "../../core/base/resolution.ts";

/** A DNS server that is silent costs this much, twice, for each question. */
const timeoutMs = 2_000;

/**
 * Drives a resolution to its end. A question that fails counts as one without records: the next step may do without.
 * `servers` are asked instead of the system's, as `192.0.2.1:53`, for SRV and NAPTR. Rejects with the signal's reason.
 */
export async function resolveEndpoints(
  resolution: Resolution,
  signal: AbortSignal | undefined,
  servers: readonly string[] = [],
): Promise<readonly ServerEndpoint[]> {
  const resolver = new promises.Resolver({ timeout: timeoutMs, tries: 2 });
  if (servers.length > 0) resolver.setServers(servers);
  const cancel = (): void => resolver.cancel();
  signal?.addEventListener("abort", cancel);
  try {
    let step = resolution.next();
    while (!step.done) {
      const records = await ask(resolver, step.value).catch(() => []);
      signal?.throwIfAborted();
      step = resolution.next(records);
    }
    return step.value;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

async function ask(resolver: promises.Resolver, { type, name }: DnsQuestion): Promise<DnsRecord[]> {
  if (type === "SRV") {
    const records = await resolver.resolveSrv(name);
    return records.map(({ priority, weight, port, name: target }) => ({ type, priority, weight, port, target }));
  }
  if (type === "NAPTR") {
    const records = await resolver.resolveNaptr(name);
    return records.map(({ order, preference, flags, service: services, replacement }) => {
      return { type, order, preference, flags, services, replacement };
    });
  }
  // The system's own way to addresses, which knows the hosts file, and the order that RFC 6724 asks for.
  const found: LookupAddress[] = await promises.lookup(name, { all: true });
  return found.map(({ address }) => ({ type, address }));
}
