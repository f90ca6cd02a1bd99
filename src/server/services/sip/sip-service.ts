/** SIP in the daemon: one edge for one domain, its users, its phones' places and its log. */
import { join } from "node:path";
import { formatAddress } from "../../../core/base/address.ts";
import { PosternError } from "../../../core/base/failure.ts";
import { DgramDatapath } from "../../../node/datapath/dgram.ts";
import type { TlsIdentity } from "../../../node/net/tls-identity.ts";
import { SipHost, type SipHostStats } from "../../../node/sip/sip-host.ts";
import type { AddressPlan } from "../../address-plan.ts";
import type { Config } from "../../config/config.ts";
import type { DaemonLog } from "../../log.ts";
import type { UserStore } from "../../users/user-store.ts";
import { LocationStore } from "./location-store.ts";
import { loadSipKey, sipConfig, sipListeners } from "./sip-config.ts";
import { SipEventLog } from "./sip-event-log.ts";

export interface SipParts {
  readonly config: Config;
  readonly domain: string;
  readonly plan: AddressPlan;
  readonly users: UserStore;
  readonly log: DaemonLog;
}

export class SipService implements AsyncDisposable {
  readonly #parts: SipParts;
  readonly #host: SipHost;
  readonly #location: LocationStore;
  readonly #events: SipEventLog;

  private constructor(parts: SipParts) {
    const { config, domain, plan, users, log } = parts;
    const edge = sipConfig(config, domain, plan, loadSipKey(config));
    this.#parts = parts;
    this.#location = LocationStore.open(join(config.dataDir, "sip.db"), log);
    this.#events = new SipEventLog(log);
    this.#host = new SipHost({
      config: edge,
      datapath: new DgramDatapath(),
      keys: async (username) => users.findPhone(username, domain),
      location: this.#location,
      onEvent: this.#events.report,
      log,
    });
  }

  /** Resolves when every listener is open. Rejects with `PosternError`, and then nothing is left open. */
  static async start(parts: SipParts, identity: TlsIdentity | undefined): Promise<SipService> {
    const service = new SipService(parts);
    try {
      service.#restore();
      await service.#listen(identity);
      return service;
    } catch (error) {
      await service.close();
      throw error;
    }
  }

  get stats(): SipHostStats {
    return this.#host.stats;
  }

  /** Phones that were registered before a restart, but for those whose users are gone. */
  #restore(): void {
    const { domain, users } = this.#parts;
    const phones = new Set(users.phones(domain).map((name) => `sip:${name}@${domain}`));
    const [kept, gone] = [[], []] as [ReturnType<LocationStore["all"]>, ReturnType<LocationStore["all"]>];
    for (const binding of this.#location.all()) (phones.has(binding.aor) ? kept : gone).push(binding);
    for (const binding of gone) this.#location.forget(binding);
    this.#host.restore(kept);
  }

  async #listen(tls: TlsIdentity | undefined): Promise<void> {
    const { config, plan } = this.#parts;
    const wanted = sipListeners(config, plan).filter(({ transport }) => transport !== "tls" || tls !== undefined);
    const opened = wanted.map(async ({ transport, local: address }) => {
      const listener = `${transport} ${formatAddress(address)}`;
      try {
        await this.#host.listen({ transport, address, ...(transport === "tls" && tls !== undefined && { tls }) });
        this.#parts.log.debug({ listener }, "sip-listener-opened");
      } catch (error) {
        // An address that was read from the host a moment ago may be gone.
        const isGone = error instanceof PosternError && error.code === "address-gone";
        if (!isGone || config.listen.length > 0) throw error;
        this.#parts.log.debug({ listener }, "sip-listener-address-gone");
      }
    });
    for (const result of await Promise.allSettled(opened)) if (result.status === "rejected") throw result.reason;
  }

  /** New handshakes use this certificate. Throws `PosternError` `bad-tls-identity`, and then everything stays as it is. */
  updateTls(identity: TlsIdentity): void {
    this.#host.updateTls(identity);
  }

  /** Ends every call and closes everything; phones are remembered. */
  async close(): Promise<void> {
    await this.#host.close();
    this.#location[Symbol.dispose]();
    this.#events.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
