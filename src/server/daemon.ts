/**
 * The composition root: from the configuration to a server that answers, and back to nothing. A daemon starts in the
 * order in which clients miss things: UDP first, then TCP, TLS and HTTP. While it runs it follows what changes around it,
 * the host's addresses, names, files and users, and never drops a session that can be kept.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PosternError } from "../core/base/failure.ts";
import { wallClock } from "../node/clock.ts";
import { chooseDatapath } from "../node/datapath/choice.ts";
import { offloadReports } from "../node/datapath/offload-log.ts";
import { FailureLog } from "../node/failure-log.ts";
import { watchInterfaces } from "../node/interfaces.ts";
import type { TlsIdentity } from "../node/net/tls-identity.ts";
import { FreeMemory } from "../node/sys/free-memory.ts";
import type { Capacity } from "../node/turn/capacity.ts";
import type { ShardHealth, TurnService } from "../node/turn-service.ts";
import type { AddressPlan } from "./address-plan.ts";
import { isHttpRemote } from "./config/checks.ts";
import type { Config } from "./config/config.ts";
import type { LoadedConfig } from "./config/load.ts";
import { fileKey } from "./config/names.ts";
import { openDataDirectory } from "./data-directory.ts";
import { EventLog } from "./event-log.ts";
import { FileWatch } from "./file-watch.ts";
import type { HttpServer } from "./http/server.ts";
import { Listeners } from "./listeners.ts";
import type { DaemonLog } from "./log.ts";
import { findPlace, type Place, Places } from "./places.ts";
import { iceUris } from "./public-uris.ts";
import { httpTokenFile, loadNonceKey, loadSecrets, type Secrets } from "./secrets.ts";
import type { SipService } from "./services/sip/sip-service.ts";
import { sharedSecretFiles } from "./shared-secrets.ts";
import { takeOver } from "./take-over.ts";
import { makeCredentials, type TimeLimitedCredentials } from "./time-limited-credentials.ts";
import { certificateFlaw, identityFiles, isSelfSigned, loadIdentityFor, usesTls } from "./tls/identity.ts";
import { createTurn, openDatapath } from "./turn.ts";
import { UserStore } from "./users/user-store.ts";
import { UserWatch } from "./users/user-watch.ts";

export interface DaemonOptions {
  readonly loaded: LoadedConfig;
  /** Reads the configuration again; rejects when it has become bad. */
  readonly reload: () => Promise<LoadedConfig>;
  readonly log: DaemonLog;
  readonly version: string;
}

interface Parts {
  readonly secrets: Secrets;
  readonly place: Place;
  readonly users: UserStore;
  readonly events: EventLog;
  readonly turn: TurnService;
}

/** How many there are of what does not end by itself at once. */
export interface Sessions {
  readonly allocations: number;
  readonly calls: number;
}

/** How long the end waits for work that is under way. */
const lastWorkMs = 1_000;

export class Daemon implements AsyncDisposable {
  readonly #options: DaemonOptions;
  readonly #log: DaemonLog;
  readonly #events: EventLog;
  readonly #failures: FailureLog;
  readonly #users: UserStore;
  readonly #host: TurnService;
  readonly #listeners: Listeners;
  readonly #places: Places;
  readonly #watches: Disposable[] = [];
  #names: NodeJS.Timeout | undefined;
  #closing = false;
  #config: Config;
  #configFile: string | undefined;
  #secrets: Secrets;
  #files: FileWatch | undefined;
  #http: HttpServer | undefined;
  /** Undefined where no domain is configured. */
  #sip: SipService | undefined;
  #certificateFlaw: string | undefined;
  #draining = false;
  #lastWork: Promise<void> = Promise.resolve();

  private constructor(options: DaemonOptions, parts: Parts) {
    const { loaded, log } = options;
    this.#options = options;
    this.#log = log;
    this.#config = loaded.config;
    this.#configFile = loaded.file;
    this.#secrets = parts.secrets;
    this.#users = parts.users;
    this.#events = parts.events;
    this.#failures = new FailureLog(log, "interfaces-unreadable");
    this.#host = parts.turn;
    this.#listeners = new Listeners(this.#host, loaded.config, log);
    this.#places = new Places(parts.place, this.#host, this.#listeners, log, (work) => this.#enqueue(work));
    this.#watches.push(this.#places, new FreeMemory());
  }

  /** Resolves when every listener is open. Rejects with `PosternError`, and then nothing is left open. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config } = options.loaded;
    const datapath = chooseDatapath(config.datapath);
    openDataDirectory(config.dataDir);
    const secrets = loadSecrets(config);
    const nonceKey = loadNonceKey(config);
    const place = await findPlace(config);
    const users = UserStore.open(join(config.dataDir, "users.db"));
    const events = new EventLog(options.log);
    const keys = { sharedSecrets: secrets.sharedSecrets, nonceKeys: [nonceKey] };
    const { loaded, log } = options;
    const turn = await createTurn({ loaded, datapath, plan: place.plan, keys, users, events, log });
    const daemon = new Daemon(options, { secrets, place, users, events, turn });
    if (datapath.because !== undefined) options.log.info({ err: datapath.because }, "datapath-is-dgram");
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
    // From before anybody can be let in: whoever is removed from now on is noticed.
    this.#watches.push(new UserWatch(this.#users, (name) => this.#removeUser(name), this.#log));
    await this.#places.open();
    if (config.natDiscovery === "auto" && this.plan.discovery.length === 0) {
      this.#log.warn({}, "nat-discovery-needs-two-addresses");
    }
    const identity = await this.#loadIdentity(config, this.plan);
    if (identity !== undefined) {
      this.#listeners.setIdentity(identity);
      await this.#places.open();
    }
    await this.#openSip(identity);
    await this.#openHttp();
    this.#users.setRealms([config.realm]);
    this.#users.setSipDomain(config.sipDomain);
    const users = this.#users.countWithout(config.realm);
    if (users > 0) this.#log.warn({ users, advice: "postern user list" }, "users-without-key-for-realm");
    this.#watch();
  }

  #removeUser(name: string): void {
    this.#host.removeUser(name);
    this.#sip?.removeUser(name);
  }

  async #loadIdentity(config: Config, plan: AddressPlan): Promise<TlsIdentity | undefined> {
    if (!usesTls(config)) return undefined;
    const identity = await loadIdentityFor(config, plan);
    const problem = isSelfSigned(config) ? undefined : certificateFlaw(identity, config, new Date());
    if (problem !== undefined) this.#log.warn({ problem }, "certificate-flawed");
    this.#certificateFlaw = problem;
    return identity;
  }

  async #openSip(identity: TlsIdentity | undefined): Promise<void> {
    const { sipDomain: domain } = this.#config;
    if (domain === undefined) return;
    const { SipService } = await import("./services/sip/sip-service.ts");
    const choice = chooseDatapath(this.#config.datapath);
    // Whether the kernel forwards, and why not, is said of TURN's already.
    const reports = { ...offloadReports(this.#log), changed: () => {} };
    const datapath = await openDatapath(this.#config, choice, reports);
    const parts = { config: this.#config, domain, plan: this.plan, users: this.#users, log: this.#log, identity };
    this.#sip = new SipService({ ...parts, datapath });
    await this.#places.add(this.#sip.listeners);
  }

  async #openHttp(): Promise<void> {
    const { httpListen } = this.#config;
    if (httpListen === undefined) return;
    // The first Binding need not wait for an HTTP library.
    const { serveHttp } = await import("./http/server.ts");
    this.#http = await serveHttp(httpListen, {
      token: () => this.#secrets.httpToken,
      turn: this.#host,
      isDraining: () => this.#draining,
      version: this.#options.version,
      issue: (user, ttl) => this.#issue(user, ttl),
      maxTtl: this.#config.credentialLifetime,
      sip: this.#sip,
      guardMetrics: isHttpRemote(this.#config),
    });
    if (isHttpRemote(this.#config)) this.#log.warn({}, "http-open-to-remote");
  }

  #issue(user: string | undefined, ttl: number = this.#config.credentialLifetime) {
    const made = this.makeCredentials(user, ttl);
    return made && { username: made.username, credential: made.credential, ttl, urls: this.iceUris };
  }

  #watch(): void {
    this.#files = new FileWatch(
      () => this.#watchedFiles(),
      () => void this.reload("file-changed"),
    );
    this.#watches.push(this.#files);
    const follow = () => void this.#enqueue(() => this.#places.followHost(this.#config));
    this.#watches.push(watchInterfaces(follow, { onFailure: (error) => this.#failures.report(error) }));
    this.#followNamesLater();
  }

  /** Again only when the last time is over: a name server may take longer than the interval. */
  #followNamesLater(): void {
    if (this.#closing) return;
    this.#names = setTimeout(() => {
      void this.#enqueue(() => this.#places.followNames(this.#config)).then(() => this.#followNamesLater());
    }, this.#config.externalAddressInterval * 1000).unref();
  }

  #watchedFiles(): string[] {
    const config = this.#config;
    const identity = usesTls(config) ? Object.values(identityFiles(config)) : [];
    const own = this.#configFile === undefined ? [] : [this.#configFile];
    return [...own, ...sharedSecretFiles(config), httpTokenFile(config), ...identity];
  }

  get config(): Config {
    return this.#config;
  }

  /** Why clients will refuse the certificate that was configured; undefined where nothing is known. */
  get certificateFlaw(): string | undefined {
    return this.#certificateFlaw;
  }

  get plan(): AddressPlan {
    return this.#places.plan;
  }

  get capacity(): Capacity {
    return this.#host.capacity;
  }

  /** How the workers fare, where there are several. */
  get shards(): readonly ShardHealth[] {
    return this.#host.shards;
  }

  get sessions(): Sessions {
    return { allocations: this.#host.stats.server.allocations, calls: this.#sip?.callCount ?? 0 };
  }

  get iceUris(): string[] {
    return iceUris(this.#config, this.plan);
  }

  /** Time-limited credentials by the first shared secret; undefined where there is none. `ttl` in seconds. */
  makeCredentials(user: string | undefined, ttl: number): TimeLimitedCredentials | undefined {
    const [secret] = this.#secrets.sharedSecrets;
    return secret && makeCredentials(secret, { user, ttl, now: wallClock.now() });
  }

  /** One piece of work at a time, because each reads and then writes what the daemon is. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#lastWork = this.#lastWork
      .then(() => (this.#closing ? undefined : work()))
      .catch((err) => this.#log.error({ err }, "follow-failed"));
    return this.#lastWork;
  }

  /**
   * Reads configuration, certificate, secrets and users again and takes over what can be without a restart. When
   * anything is wrong everything stays as it is, and the log says so.
   */
  reload(why: "signal" | "file-changed"): Promise<void> {
    return this.#enqueue(async () => {
      // Before anything is read: what changes from here on is a change.
      this.#files?.settle();
      try {
        await this.#reload();
        this.#log.info({ why }, "reloaded");
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        this.#log.warn({ why, code: error.code, problem: error.message }, "reload-failed");
      }
      for (const watch of this.#watches) if (watch instanceof UserWatch) watch.look();
    });
  }

  async #reload(): Promise<void> {
    const { config: wanted, file } = await this.#options.reload();
    const { config, restart } = takeOver(this.#config, wanted);
    const secrets = loadSecrets(config);
    const place = await findPlace(config);
    const identity = await this.#loadIdentity(config, place.plan);
    // From here on nothing may fail, but for the certificate: it is judged first.
    if (identity !== undefined) {
      this.#host.updateTls(identity);
      this.#sip?.updateTls(identity);
      this.#listeners.setIdentity(identity);
    }
    this.#config = config;
    this.#configFile = file;
    this.#secrets = secrets;
    this.#log.level = config.logLevel;
    this.#host.setSecrets(secrets.sharedSecrets);
    await this.#places.moveTo(place);
    if (restart.length > 0) this.#log.warn({ options: restart.map(fileKey) }, "restart-needed");
  }

  /** Refuses new sessions and waits for the others; resolves with those that are left at the deadline. */
  async drain(signal: AbortSignal): Promise<Sessions> {
    this.#draining = true;
    const deadline = this.#config.drainDeadline * 1000;
    const [allocations, calls = 0] = await Promise.all([
      this.#host.drain(deadline, signal),
      this.#sip?.drain(deadline, signal),
    ]);
    return { allocations, calls };
  }

  /** Ends every session and closes everything. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#names);
    for (const watch of this.#watches) watch[Symbol.dispose]();
    // What hangs, on a name server say, does nothing to a host that is closed.
    await Promise.race([this.#lastWork, delay(lastWorkMs, undefined, { ref: false })]);
    await this.#http?.close();
    await Promise.all([this.#host.close(), this.#sip?.close()]);
    this.#users[Symbol.dispose]();
    this.#events.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
