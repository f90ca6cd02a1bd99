/** Postern with SIP on the internet of the lab, with users, and the phones that a test puts behind its NATs. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { UnixSeconds } from "../../../src/core/base/machine.ts";
import { Network } from "../../../src/lab/network.ts";
import { serverAddresses, type Topology } from "../../../src/lab/topology.ts";
import { becomeOwner, openDataDirectory } from "../../../src/server/data-directory.ts";
import { UserStore } from "../../../src/server/users/user-store.ts";
import { type Child, type ChildOptions, runChild, startChild } from "../../support/child.ts";
import { logLines, postern, type RunningDaemon, startDaemon } from "../../support/daemon.ts";
import type { NameZone } from "../../support/name-server.ts";
import { until } from "../../support/until.ts";
import { through } from "../networks.ts";
import { Baresip, type PhoneOptions } from "./baresip.ts";

export const domain = "example.org";
export const [serverHost] = serverAddresses;
export const sipPort = 5060;
export const sipsPort = 5061;

export function passwordOf(user: string): string {
  return `secret-of-${user}`;
}

export interface OfficeOptions {
  readonly users: readonly string[];
  readonly flags?: readonly string[];
  /** Where the server listens besides its first address of IPv4. */
  readonly alsoOn?: readonly string[];
  /** Names that the server can look up; without them there is no DNS. */
  readonly names?: NameZone;
}

export class Office implements AsyncDisposable {
  readonly network: Network;
  daemon: RunningDaemon;
  readonly #start: () => Promise<RunningDaemon>;
  readonly #home: string;
  readonly #phones: Baresip[] = [];
  readonly #children: Child[] = [];

  static async open(topology: Topology, { users, flags = [], alsoOn = [], names }: OfficeOptions): Promise<Office> {
    const home = await mkdtemp(join(tmpdir(), "postern-office-"));
    const dataDir = join(home, "data");
    becomeOwner(openDataDirectory(dataDir));
    enroll(join(dataDir, "users.db"), users);
    const network = await Network.build(topology);
    const nameServer = names === undefined ? undefined : await startNames(network, names);
    try {
      const asking = nameServer === undefined ? [] : await askingNames(home);
      const start = () =>
        startDaemon({
          dataDir,
          listen: [serverHost, ...alsoOn],
          flags: ["--sip-domain", domain, "--media-ports", "40000-40999", "--log-level", "debug", ...flags],
          through: [...through(network.at("server")), ...asking],
        });
      const office = new Office(network, await start(), start, home);
      if (nameServer !== undefined) office.#children.push(nameServer);
      return office;
    } catch (error) {
      await nameServer?.stop();
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(network: Network, daemon: RunningDaemon, start: () => Promise<RunningDaemon>, home: string) {
    this.network = network;
    this.daemon = daemon;
    this.#start = start;
    this.#home = home;
  }

  /** A phone at a place; that it registers is awaited. */
  async phone(
    place: string,
    options: Partial<PhoneOptions> & Pick<PhoneOptions, "user" | "tone">,
    registration: "awaited" | "not awaited" = "awaited",
  ): Promise<Baresip> {
    const server = `${serverHost}:${options.transport === "tls" ? sipsPort : sipPort}`;
    const common = { domain, server, password: passwordOf(options.user) };
    const phone = await Baresip.start(this.network, place, { ...common, ...options });
    this.#phones.push(phone);
    // Its event may have come before anybody listened.
    const isRegistered = () => registration === "not awaited" || phone.isRegistered;
    await until(`${options.user} to register`, isRegistered, { within: 60_000 }).catch((cause) => {
      throw new Error(`${(cause as Error).message}; it wrote:\n${phone.log}`, { cause });
    });
    return phone;
  }

  /** Postern ends, and begins anew with what it has kept. */
  async restart(): Promise<void> {
    await this.daemon[Symbol.asyncDispose]();
    this.daemon = await this.#start();
  }

  /** Starts a program at a place, which ends with all of this at the latest. */
  async start(place: string, command: readonly string[], options?: ChildOptions): Promise<Child> {
    const child = await startChild([...through(this.network.at(place)), ...command], options);
    this.#children.push(child);
    return child;
  }

  /** What `postern calls` or `postern registrations` tells. */
  async told<Shown>(what: "calls" | "registrations", ...more: readonly string[]): Promise<Shown[]> {
    const { dataDir, ports } = this.daemon;
    const flags = ["--json", ...more, "--data-dir", dataDir, "--http-listen", `127.0.0.1:${ports.httpPort}`];
    return JSON.parse(await runChild([...through(this.network.at("server")), ...postern(what, ...flags)])) as Shown[];
  }

  /** What the daemon logged of calls and phones. */
  logged(event: string): Record<string, unknown>[] {
    return logLines(this.daemon.child.output()).filter((line) => line["event"] === event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#phones.map((phone) => phone[Symbol.asyncDispose]()));
    await Promise.all(this.#children.map((child) => child.stop()));
    await this.daemon[Symbol.asyncDispose]();
    await this.network[Symbol.asyncDispose]();
    await rm(this.#home, { recursive: true, force: true });
  }
}

/** A name server beside Postern. */
async function startNames(network: Network, names: NameZone): Promise<Child> {
  const program = fileURLToPath(new URL("name-server.ts", import.meta.url));
  const place = network.at("server");
  const child = await startChild([...through(place), process.execPath, program, serverHost, JSON.stringify(names)]);
  await until("the name server", async () => (await place.run(["ss", "-Hlun"])).includes(`${serverHost}:53`));
  return child;
}

/** What a command is started through to ask it. */
async function askingNames(home: string): Promise<string[]> {
  const config = join(home, "resolv.conf");
  await writeFile(config, `nameserver ${serverHost}\n`);
  return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', config];
}

function enroll(path: string, names: readonly string[]): void {
  using users = UserStore.open(path);
  const now = Math.floor(Date.now() / 1000) as UnixSeconds;
  for (const name of names) users.setPassword(name, passwordOf(name), [domain], now, domain);
}
