/** From what the caller names to what is asked: addresses, credentials, and the proxy where there is one. */
import { PosternError } from "../../core/base/failure.ts";
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
  return { targets: distinctTargets(found.flat()), logins: new Map(logins.reverse()), proxy };
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
