/**
 * The servers that are compared, each on the first core: Postern as users run it, the same with the kernel forwarding media
 * (`ebpf`), and Kamailio with rtpengine in user space. Both have the same users, and keep bindings in SQLite on a memory file system.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { UserStore } from "../../src/server/users/user-store.ts";
import { type Child, startChild } from "../../test/support/child.ts";
import { until } from "../../test/support/until.ts";
import { serverCore } from "../generator.ts";
import { type BenchNetwork, serverAddresses } from "./network.ts";

export const domain = "bench.example";
export const password = "a long enough password";

export type SipServerName = "postern" | "ebpf" | "kamailio";

export interface SipServer extends AsyncDisposable {
  readonly name: SipServerName;
  readonly address: string;
  /** Of all its processes. */
  pids(): Promise<number[]>;
}

export interface SipServerOptions {
  readonly network: BenchNetwork;
  readonly users: number;
  /** Postern's option of that name. */
  readonly datapath: string;
}

export type StartSipServer = (options: SipServerOptions) => Promise<SipServer>;

const main = join(import.meta.dirname, "../../src/cli/main.ts");

export function startPosternSip(options: SipServerOptions): Promise<SipServer> {
  return startAs("postern", options, 8080);
}

/** Its media is forwarded in the kernel. */
export function startForwardingSip(options: SipServerOptions): Promise<SipServer> {
  return startAs("ebpf", options, 8081);
}

async function startAs(
  name: "postern" | "ebpf",
  { network, users, datapath }: SipServerOptions,
  httpPort: number,
): Promise<SipServer> {
  const directory = await mkdtemp("/dev/shm/postern-bench-");
  const file = join(directory, "postern.yaml");
  const settings = {
    "data-dir": directory,
    greeting: false,
    datapath,
    offload: name === "ebpf" ? "auto" : "off",
    "drain-deadline": "0s",
    listen: [serverAddresses[name]],
    "relay-addresses": [serverAddresses[name]],
    "tls-port": "off",
    auth: "users",
    realm: "turn.bench.example",
    "sip-domain": domain,
    "allow-peers": ["10.0.0.0/8"],
    "http-listen": `127.0.0.1:${httpPort}`,
  };
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 });
  addUsers(join(directory, "users.db"), users);
  const command = [process.execPath, main, "serve", "--config", file];
  const child = await startChild([...network.server, ...serverCore, ...command], { cwd: directory });
  await listening(child, () => child.output().includes('"serving"'));
  if (name === "ebpf") await listening(child, () => child.output().includes('"offload-is-on"'));
  return {
    name,
    address: serverAddresses[name],
    pids: () => familyOf(child.pid),
    async [Symbol.asyncDispose]() {
      await child.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** As `postern user add --sip` does, without a process for each. */
function addUsers(path: string, count: number): void {
  using users = UserStore.open(path);
  for (let i = 0; i < count; i++) users.setPassword(`u${i}`, password, [], Math.floor(Date.now() / 1000), domain);
}

const relayControl = "127.0.0.1:2223";
const schema = "/usr/share/kamailio/db_sqlite";

export async function startKamailio({ network, users }: SipServerOptions): Promise<SipServer> {
  const directory = await mkdtemp("/dev/shm/kamailio-bench-");
  const database = join(directory, "location.db");
  using tables = new DatabaseSync(database);
  for (const part of ["standard", "usrloc"]) tables.exec(await readFile(join(schema, `${part}-create.sql`), "utf8"));
  tables.close();
  const address = serverAddresses.kamailio;
  const relay = await startRtpengine(network, address);
  const defined: Record<string, string> = {
    LISTEN: `udp:${address}:5060`,
    DOMAIN: `"${domain}"`,
    KEY: `"${password}"`,
    USERS: String(users),
    DATABASE: `"sqlite://${database}"`,
    RTPENGINE: `"udp:${relayControl}"`,
  };
  const given = Object.entries(defined).flatMap(([name, value]) => ["-A", `${name}=${value}`]);
  const config = join(import.meta.dirname, "kamailio.cfg");
  const command = [
    "kamailio",
    "-DD",
    "-E",
    "-f",
    config,
    "-b",
    "4194304",
    "-m",
    "256",
    "-M",
    "16",
    "-Y",
    directory,
    ...given,
  ];
  const child = await startChild([...network.server, ...serverCore, ...command]);
  await listening(child, async () => (await familyOf(child.pid)).length > 4);
  return {
    name: "kamailio",
    address,
    pids: async () => [...(await familyOf(child.pid)), relay.pid],
    async [Symbol.asyncDispose]() {
      await child.stop();
      await relay.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function startRtpengine(network: BenchNetwork, address: string): Promise<Child> {
  const config = [`--config-file=${join(import.meta.dirname, "rtpengine.conf")}`, "--config-section=rtpengine"];
  const places = [`--listen-ng=${relayControl}`, `--interface=${address}`];
  return startChild([...network.server, ...serverCore, "rtpengine", ...config, ...places]);
}

async function listening(child: Child, isReady: () => boolean | Promise<boolean>): Promise<void> {
  const ready = async () => {
    if (child.ending() !== undefined) throw new Error(`it ended:\n${child.output()}`);
    return isReady();
  };
  await until("the server to listen", ready, { within: 30_000 });
}

/** A process and all that it has started. */
async function familyOf(pid: number): Promise<number[]> {
  const parents = new Map<number, number[]>();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, "utf8").catch(() => undefined);
    const parent = Number(stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (stat !== undefined) parents.set(parent, [...(parents.get(parent) ?? []), Number(entry)]);
  }
  const family = [pid];
  for (const member of family) family.push(...(parents.get(member) ?? []));
  return family;
}
