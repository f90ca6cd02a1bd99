/**
 * Postern, built as users get it, on each of its datapaths, and coturn, started alike: pinned to one core, long-term credentials, one listening UDP address each. Limits
 * stay on; only the quotas that a load of one user from one machine would meet are raised.
 */
import { startCoturn } from "../test/support/coturn.ts";
import { freePort } from "../test/support/ports.ts";
import { startPostern } from "../test/support/postern.ts";
import type { RelayOptions, RelayUnderTest } from "../test/support/relay-under-test.ts";
import { built } from "./build.ts";
import { serverCore } from "./generator.ts";

export const serverNames = ["postern mmsg", "postern dgram", "coturn"] as const;
export type ServerName = (typeof serverNames)[number];

const user = { name: "bench", password: "a long enough password" };
const addresses: Record<ServerName, string> = {
  "postern mmsg": "127.0.0.1",
  "postern dgram": "127.0.0.4",
  coturn: "127.0.0.3",
};
/** Neither server's own address, so that both relay to it by socket. */
const peer = "127.0.0.2";

export interface BenchServer {
  readonly name: ServerName;
  readonly relay: RelayUnderTest;
  /** What a generator needs to know of it. */
  readonly flags: Readonly<Record<string, string | number>>;
}

export async function startServer(name: ServerName): Promise<BenchServer> {
  const options: RelayOptions = {
    addresses: [addresses[name]],
    user,
    relayPorts: { low: 20_000, high: 32_767 },
    allowPeers: ["127.0.0.0/8"],
    highQuotas: true,
    port: await freePort(),
    through: serverCore,
    // What is measured is what one core does.
    postern: { datapath: name.replace("postern ", ""), shards: 1 },
    program: await built(),
  };
  const relay = await (name === "coturn" ? startCoturn(options) : startPostern(options));
  const flags = {
    server: addresses[name],
    port: options.port,
    peer,
    pid: relay.pid,
    user: user.name,
    password: user.password,
  };
  return { name, relay, flags };
}
