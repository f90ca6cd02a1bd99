/**
 * The composition root: from the configuration to a server that answers, and back to nothing. A daemon starts in the
 * order in which clients miss things: UDP first, then TCP, TLS and HTTP. While it runs it follows what changes around it,
 * the host's addresses, names, files and users, and never drops a session that can be kept.
 */
import { join } from "node:path";
import { formatIp } from "../core/base/address.ts";
import { PosternError } from "../core/base/failure.ts";
import { wallClock } from "../node/clock.ts";
import { DgramDatapath } from "../node/datapath/dgram.ts";
import { interfaceAddresses, watchInterfaces } from "../node/interfaces.ts";
import { type Capacity, TurnHost } from "../node/turn-host.ts";
import { type AddressPlan, isLinkLocal, planAddresses } from "./address-plan.ts";
import { isHttpRemote } from "./config/checks.ts";
import type { Config, OptionName } from "./config/config.ts";
import type { LoadedConfig } from "./config/load.ts";
import { fileKey, optionNames } from "./config/names.ts";
import { options } from "./config/options.ts";
import { openDataDirectory } from "./data-directory.ts";
import { EventLog } from "./event-log.ts";
import { type ResolvedExternal, resolveExternal, routedAddresses, sameExternal } from "./external-address.ts";
import { FileWatch } from "./file-watch.ts";
import type { HttpServer } from "./http/server.ts";
import { Listeners } from "./listeners.ts";
import type { DaemonLog } from "./log.ts";
import { iceUris } from "./public-uris.ts";
import { httpTokenFile, loadNonceKey, loadSecrets, type Secrets } from "./secrets.ts";
import { sharedSecretFiles } from "./shared-secrets.ts";
import { makeCredentials, type TimeLimitedCredentials } from "./time-limited-credentials.ts";
import { identityFiles, loadIdentity } from "./tls/identity.ts";
import { turnConfig } from "./turn-config.ts";
import { UserStore } from "./users/user-store.ts";
import { UserWatch } from "./users/user-watch.ts";

export interface DaemonOptions {
  readonly loaded: LoadedConfig;
  /** Reads the configuration again; rejects when it has become bad. */
  readonly reload: () => Promise<LoadedConfig>;
  readonly log: DaemonLog;
  readonly version: string;
}

/** Soon enough for an address that is still being probed (RFC 4862), or a port that is about to be free. */
const retryMs = 3_000;

export class Daemon implements AsyncDisposable {
  readonly #options: DaemonOptions;
  readonly #log: DaemonLog;
  readonly #events: EventLog;
  readonly #users: UserStore;
  readonly #host: TurnHost;
  readonly #listeners: Listeners;
  readonly #watches: Disposable[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #config: Config;
  #configFile: string | undefined;
  #secrets: Secrets;
  #external: readonly ResolvedExternal[];
  #plan: AddressPlan;
  #files: FileWatch | undefined;
  #http: HttpServer | undefined;
  #retry: NodeJS.Timeout | undefined;
  #draining = false;
  #lastWork: Promise<void> = Promise.resolve();

  private constructor(
    options: DaemonOptions,
    parts: { secrets: Secrets; external: readonly ResolvedExternal[]; plan: AddressPlan; users: UserStore },
  ) {
    const { loaded, log } = options;
    this.#options = options;
    this.#log = log;
    this.#config = loaded.config;
    this.#configFile = loaded.file;
    this.#secrets = parts.secrets;
    this.#external = parts.external;
    this.#plan = parts.plan;
    this.#users = parts.users;
    this.#events = new EventLog(log);
    const keys = { sharedSecrets: parts.secrets.sharedSecrets, nonceKeys: [loadNonceKey(loaded.config)] };
    this.#host = new TurnHost({
      config: turnConfig(loaded.config, parts.plan, keys),
      datapath: new DgramDatapath(),
      keys: async (user, realm) => this.#users.find(user, realm),
      onEvent: this.#events.report,
      log,
      streams: streamLimits(options.loaded),
    });
    this.#listeners = new Listeners(this.#host, loaded.config, log);
  }

  /** Resolves when every listener is open. Rejects with `PosternError`, and then nothing is left open. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config } = options.loaded;
    openDataDirectory(config.dataDir);
    const secrets = loadSecrets(config);
    const [external, routed] = await Promise.all([resolveExternal(config.externalAddress), routedAddresses()]);
    const plan = planAddresses(config, { interfaces: interfaceAddresses(), routed, external });
    const users = UserStore.open(join(config.dataDir, "users.db"));
    const daemon = new Daemon(options, { secrets, external, plan, users });
    try {
      await daemon.#open();
      return daemon;
    } catch (error) {
      await daemon.close();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const config = this.#config;
    await this.#listeners.follow(this.#plan.listen);
    if (config.tlsPort !== undefined) {
      this.#listeners.setIdentity(await this.#loadIdentity(config));
      await this.#listeners.follow(this.#plan.listen);
    }
    this.#retryIfIncomplete();
    await this.#openHttp();
    this.#users.setRealms([config.realm]);
    this.#watch();
  }

  #loadIdentity(config: Config) {
    const addresses = [...this.#plan.listen, ...this.#plan.relays.map(({ advertised }) => advertised)];
    const texts = addresses.filter((address) => !isLinkLocal(address)).map(formatIp);
    return loadIdentity(config, [...new Set(texts)]);
  }

  async #openHttp(): Promise<void> {
    const { httpListen } = this.#config;
    if (httpListen === undefined) return;
    // The first Binding need not wait for an HTTP library.
    const { serveHttp } = await import("./http/server.ts");
    this.#http = await serveHttp(httpListen, {
      token: () => this.#secrets.httpToken,
      stats: () => this.#host.stats,
      isDraining: () => this.#draining,
      version: this.#options.version,
      issue: (user, ttl) => this.#issue(user, ttl),
      maxTtl: this.#config.credentialLifetime,
      guardMetrics: isHttpRemote(this.#config),
    });
    if (isHttpRemote(this.#config)) this.#log.warn({}, "http-open-to-remote");
  }

  #issue(user: string | undefined, ttl: number = this.#config.credentialLifetime) {
    const made = this.makeCredentials(user, ttl);
    return made && { username: made.username, credential: made.credential, ttl, urls: this.iceUris };
  }

  #watch(): void {
    this.#watches.push(new UserWatch(this.#users, (name) => this.#host.removeUser(name), this.#log));
    this.#files = new FileWatch(
      () => this.#watchedFiles(),
      () => void this.reload("file-changed"),
    );
    this.#watches.push(this.#files);
    this.#watches.push(watchInterfaces(() => void this.#enqueue(() => this.#followHost())));
    const resolve = () => void this.#enqueue(() => this.#followNames());
    this.#timers.push(setInterval(resolve, this.#config.externalAddressInterval * 1000).unref());
  }

  #watchedFiles(): string[] {
    const config = this.#config;
    const identity = config.tlsPort === undefined ? [] : Object.values(identityFiles(config));
    const own = this.#configFile === undefined ? [] : [this.#configFile];
    return [...own, ...sharedSecretFiles(config), httpTokenFile(config), ...identity];
  }

  get config(): Config {
    return this.#config;
  }

  get plan(): AddressPlan {
    return this.#plan;
  }

  get capacity(): Capacity {
    return this.#host.capacity;
  }

  get allocations(): number {
    return this.#host.stats.server.allocations;
  }

  get iceUris(): string[] {
    return iceUris(this.#config, this.#plan);
  }

  /** Time-limited credentials by the first shared secret; undefined where there is none. `ttl` in seconds. */
  makeCredentials(user: string | undefined, ttl: number): TimeLimitedCredentials | undefined {
    const [secret] = this.#secrets.sharedSecrets;
    return secret && makeCredentials(secret, { user, ttl, now: wallClock.now() });
  }

  /** One piece of work at a time, because each reads and then writes what the daemon is. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#lastWork = this.#lastWork.then(work).catch((err) => this.#log.error({ err }, "follow-failed"));
    return this.#lastWork;
  }

  /**
   * Reads configuration, certificate, secrets and users again and takes over what can be without a restart. When
   * anything is wrong everything stays as it is, and the log says so.
   */
  reload(why: "signal" | "file-changed"): Promise<void> {
    return this.#enqueue(async () => {
      try {
        await this.#reload();
        this.#log.info({ why }, "reloaded");
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        this.#log.warn({ why, code: error.code, problem: error.message }, "reload-failed");
      }
      this.#files?.settle();
      for (const watch of this.#watches) if (watch instanceof UserWatch) watch.look();
    });
  }

  async #reload(): Promise<void> {
    const { config: wanted, file } = await this.#options.reload();
    const { config, restart } = takeOver(this.#config, wanted);
    const secrets = loadSecrets(config);
    const external = await resolveExternal(config.externalAddress);
    const plan = await this.#planFor(config, external);
    const identity = config.tlsPort === undefined ? undefined : await this.#loadIdentity(config);
    // From here on nothing may fail, but for the certificate: it is judged first.
    if (identity !== undefined) {
      this.#host.updateTls(identity);
      this.#listeners.setIdentity(identity);
    }
    this.#config = config;
    this.#configFile = file;
    this.#secrets = secrets;
    this.#external = external;
    this.#log.level = config.logLevel;
    this.#host.setSecrets(secrets.sharedSecrets);
    await this.#follow(plan);
    if (restart.length > 0) this.#log.warn({ options: restart.map(fileKey) }, "restart-needed");
  }

  async #planFor(config: Config, external: readonly ResolvedExternal[]): Promise<AddressPlan> {
    return planAddresses(config, { interfaces: interfaceAddresses(), routed: await routedAddresses(), external });
  }

  async #followHost(): Promise<void> {
    const plan = await this.#planFor(this.#config, this.#external);
    this.#log.info({ addresses: plan.own.length }, "host-addresses-changed");
    await this.#follow(plan);
  }

  async #followNames(): Promise<void> {
    if (!this.#config.externalAddress.some(({ advertised }) => typeof advertised === "string")) return;
    try {
      const external = await resolveExternal(this.#config.externalAddress);
      if (sameExternal(external, this.#external)) return;
      const plan = await this.#planFor(this.#config, external);
      this.#external = external;
      this.#log.info({}, "external-address-changed");
      await this.#follow(plan);
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      this.#log.warn({ code: error.code, problem: error.message }, "external-address-kept");
    }
  }

  async #follow(plan: AddressPlan): Promise<void> {
    this.#plan = plan;
    this.#host.setAddresses(plan.relays, plan.own);
    try {
      await this.#listeners.follow(plan.listen);
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      this.#log.warn({ code: error.code, problem: error.message }, "listener-failed");
    }
    this.#retryIfIncomplete();
  }

  #retryIfIncomplete(): void {
    clearTimeout(this.#retry);
    if (this.#listeners.isComplete(this.#plan.listen)) return;
    this.#retry = setTimeout(() => void this.#enqueue(() => this.#follow(this.#plan)), retryMs).unref();
  }

  /** Refuses new allocations and waits for the others; resolves with the number that is left at the deadline. */
  drain(signal: AbortSignal): Promise<number> {
    this.#draining = true;
    return this.#host.drain(this.#config.drainDeadline * 1000, signal);
  }

  /** Ends every session and closes everything. */
  async close(): Promise<void> {
    clearTimeout(this.#retry);
    for (const timer of this.#timers) clearInterval(timer);
    for (const watch of this.#watches) watch[Symbol.dispose]();
    await this.#lastWork;
    await this.#http?.close();
    await this.#host.close();
    this.#users[Symbol.dispose]();
    this.#events.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A default is not imposed: the host knows better how many descriptors there are. */
function streamLimits({ config, given }: LoadedConfig) {
  const { streamConnections: connections, streamConnectionsPerSource: connectionsPerSource } = config;
  return { connectionsPerSource, ...(given.has("streamConnections") ? { connections } : {}) };
}

/** What runs from now on, and the options whose change has to wait for a restart. */
function takeOver(running: Config, wanted: Config): { config: Config; restart: OptionName[] } {
  const text = (config: Config, name: OptionName) => JSON.stringify(config[name]) ?? "";
  const restart = optionNames.filter((name) => !options[name].reloads && text(running, name) !== text(wanted, name));
  const kept = Object.fromEntries(restart.map((name) => [name, running[name]]));
  return { config: { ...wanted, ...kept }, restart };
}
