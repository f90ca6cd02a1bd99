/** The sockets that phones and trunks come to, following the host's addresses. One whose address is gone is harmless, and stays. */
import { formatAddress } from "../../../core/base/address.ts";
import { PosternError } from "../../../core/base/failure.ts";
import type { EdgeListener } from "../../../core/edge/config.ts";
import type { TlsIdentity } from "../../../node/net/tls-identity.ts";
import type { SipHost } from "../../../node/sip/sip-host.ts";
import type { AddressPlan } from "../../address-plan.ts";
import type { Config } from "../../config/config.ts";
import { withOption } from "../../listen-option.ts";
import type { DaemonLog } from "../../log.ts";
import type { PlaceFollower } from "../../places.ts";
import { sipListeners } from "./sip-config.ts";

export class SipListeners implements PlaceFollower {
  readonly #host: SipHost;
  readonly #config: Config;
  readonly #log: DaemonLog;
  readonly #open: Set<string> = new Set();
  #identity: TlsIdentity | undefined;

  constructor(host: SipHost, config: Config, log: DaemonLog, identity: TlsIdentity | undefined) {
    this.#host = host;
    this.#config = config;
    this.#log = log;
    this.#identity = identity;
  }

  /** For new handshakes. Throws `PosternError` `bad-tls-identity`, and then everything stays as it is. */
  updateTls(identity: TlsIdentity): void {
    this.#host.updateTls(identity);
    this.#identity = identity;
  }

  async follow(plan: AddressPlan): Promise<void> {
    const listeners = sipListeners(this.#config, plan);
    this.#host.setPlaces({ listeners, relays: plan.relays, own: plan.own });
    const missing = listeners.filter((one) => !this.#open.has(keyOf(one)));
    const results = await Promise.allSettled(missing.map((one) => this.#listen(one)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  isComplete(plan: AddressPlan): boolean {
    return sipListeners(this.#config, plan).every((one) => this.#open.has(keyOf(one)));
  }

  async #listen(one: EdgeListener): Promise<void> {
    const { transport, local: address } = one;
    const listener = keyOf(one);
    const tls = transport === "tls" ? this.#identity : undefined;
    try {
      await this.#host.listen({ transport, address, ...(tls && { tls }) });
      this.#open.add(listener);
      this.#log.debug({ listener }, "sip-listener-opened");
    } catch (error) {
      // An address that was read from the host a moment ago may be gone, or not be usable yet.
      const isGone = error instanceof PosternError && error.code === "address-gone";
      if (!isGone || this.#config.listen.length > 0)
        throw withOption(error, transport === "tls" ? "sips-port" : "sip-port");
      this.#log.debug({ listener }, "sip-listener-address-gone");
    }
  }
}

function keyOf({ transport, local }: EdgeListener): string {
  return `${transport} ${formatAddress(local)}`;
}
