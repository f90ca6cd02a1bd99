/** From what the caller names to what is asked: addresses, credentials, and the proxy where there is one. */
import type { Address, Family } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { localAddressToward } from "../../node/local-address.ts";
import type { Asked } from "./login.ts";
import type { Servers } from "./measure.ts";
import { chooseProxy } from "./proxy.ts";
import { distinctTargets, findTargets, type Target, targetsThroughProxy } from "./targets.ts";

/** Rejects with `PosternError`: `bad-uri`, `bad-proxy`, `no-server`; or with the signal's reason. */
export async function findServers(
  asked: readonly Asked[],
  proxyFlag: string | false | undefined,
  signal: AbortSignal,
): Promise<Servers> {
  const proxy = chooseProxy(proxyFlag, process.env);
  const found = await Promise.all(asked.map(({ uri }) => findAll(uri, proxy, signal)));
  const logins = asked.flatMap(({ uri, login }) => (login === undefined ? [] : [[uri, login] as const]));
  const targets = distinctTargets(found.flat());
  const unroutable = await unroutableFamilies(targets);
  const routable = targets.filter(({ address, throughProxy }) => throughProxy || !unroutable.includes(address.family));
  return { targets: routable, unroutable, logins: new Map(logins.reverse()), proxy };
}

/** Those that this host has no address of. Where it has none at all that is seen by asking. */
async function unroutableFamilies(targets: readonly Target[]): Promise<Family[]> {
  const direct = targets.filter(({ throughProxy }) => throughProxy !== true).map(({ address }) => address);
  const families = [...new Set(direct.map(({ family }) => family))];
  const first = families.map((family) => direct.find((address) => address.family === family) as Address);
  const locals = await Promise.all(first.map(localAddressToward));
  const unroutable = families.filter((_, i) => locals[i] === undefined);
  return unroutable.length === families.length ? [] : unroutable;
}

async function findAll(uri: string, proxy: Servers["proxy"], signal: AbortSignal): Promise<Target[]> {
  // What is written wrongly is refused before anything is looked up.
  const proxied = targetsThroughProxy(uri).filter(({ host }) => proxy(host) !== undefined);
  try {
    return [...(await findTargets(uri, signal)), ...proxied];
  } catch (error) {
    // Where only a proxy leads out, the names outside are often unknown inside.
    if (proxied.length > 0 && error instanceof PosternError && error.code === "no-server") return proxied;
    throw error;
  }
}
