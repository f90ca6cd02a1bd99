/** SIP in the daemon: one edge for one domain, its users, its phones' places and its log. */
import { join } from "node:path";
import { monotonicNow } from "../../../node/clock.ts";
import { chooseDatapath } from "../../../node/datapath/choice.ts";
import { createDatapath } from "../../../node/datapath/creation.ts";
import type { Datapath } from "../../../node/datapath/datapath.ts";
import type { TlsIdentity } from "../../../node/net/tls-identity.ts";
import { SipHost, type SipHostStats } from "../../../node/sip/sip-host.ts";
import type { AddressPlan } from "../../address-plan.ts";
import type { Config } from "../../config/config.ts";
import type { DaemonLog } from "../../log.ts";
import type { PlaceFollower } from "../../places.ts";
import type { UserStore } from "../../users/user-store.ts";
import { LocationStore } from "./location-store.ts";
import { PhoneKeys } from "./phone-keys.ts";
import {
  Clock,
  type ShownCall,
  type ShownRefusal,
  type ShownRegistration,
  shownCall,
  shownRefusal,
  shownRegistration,
} from "./shown.ts";
import { loadSipKey, sipConfig } from "./sip-config.ts";
import { SipEventLog } from "./sip-event-log.ts";
import { SipListeners } from "./sip-listeners.ts";

/** A message costs fifty times what a packet of media does, and media does not wait for long. */
const MESSAGES_IN_TURN = 32;

/** What others may see of it. */
export interface SipView {
  readonly stats: SipHostStats;
  /** How many are registered. */
  readonly phones: number;
  registrations(): ShownRegistration[];
  refusals(): ShownRefusal[];
  /** Now, ringing ones too. */
  readonly callCount: number;
  calls(): ShownCall[];
  /** Of the last hour, the latest last. */
  endedCalls(): ShownCall[];
}

export interface SipParts {
  readonly config: Config;
  readonly domain: string;
  readonly plan: AddressPlan;
  readonly users: UserStore;
  readonly log: DaemonLog;
  /** Of media; the service's from now on. */
  readonly datapath: Datapath;
  /** What TLS listeners show at first. */
  readonly identity: TlsIdentity | undefined;
}

export class SipService implements SipView, AsyncDisposable {
  readonly #parts: SipParts;
  readonly #host: SipHost;
  readonly #location: LocationStore;
  readonly #keys: PhoneKeys;
  readonly #events: SipEventLog;
  readonly #listeners: SipListeners;

  /** Opens no listener yet. Throws `PosternError`: those of `LocationStore.open` and `keepSecretFile`. */
  constructor(parts: SipParts) {
    const { config, domain, plan, users, log } = parts;
    const edge = sipConfig(config, domain, plan, loadSipKey(config));
    this.#parts = parts;
    this.#location = LocationStore.open(join(config.dataDir, "sip.db"), log);
    this.#keys = new PhoneKeys((name) => users.findPhone(name, domain));
    this.#events = new SipEventLog(log);
    const { kind } = chooseDatapath(config.datapath);
    this.#host = new SipHost({
      config: edge,
      datapath: parts.datapath,
      messages: createDatapath(kind, { mostInTurn: MESSAGES_IN_TURN }),
      keys: (username) => this.#keys.find(username),
      location: this.#location,
      onEvent: (event) => {
        if (event.type === "wrong-password") this.#keys.doubt(event.user);
        this.#events.report(event);
      },
      log,
    });
    this.#listeners = new SipListeners(this.#host, config, log, parts.identity);
    this.#restore();
  }

  /** What opens its listeners, and follows the host's addresses. */
  get listeners(): PlaceFollower {
    return this.#listeners;
  }

  get stats(): SipHostStats {
    return this.#host.stats;
  }

  get phones(): number {
    let count = 0;
    for (const _ of this.#host.bindings()) count++;
    return count;
  }

  get callCount(): number {
    return this.#host.callCount;
  }

  registrations(): ShownRegistration[] {
    const clock = clockNow();
    return [...this.#host.bindings()].map((binding) => shownRegistration(binding, clock));
  }

  refusals(): ShownRefusal[] {
    const clock = clockNow();
    return this.#host.refusals().map((refusal) => shownRefusal(refusal, clock));
  }

  calls(): ShownCall[] {
    const clock = clockNow();
    return this.#host.calls().map((call) => shownCall(call, clock));
  }

  endedCalls(): ShownCall[] {
    const clock = clockNow();
    return this.#host.endedCalls().map((call) => shownCall(call, clock));
  }

  /** Phones that were registered before a restart, but for those whose users are gone. */
  #restore(): void {
    const { domain, users } = this.#parts;
    const phones = new Set(users.phones(domain).map((name) => `sip:${name}@${domain}`));
    const all = this.#location.all();
    for (const binding of all) if (!phones.has(binding.aor)) this.#location.forget(binding);
    this.#host.restore(all.filter(({ aor }) => phones.has(aor)));
  }

  /** The user was removed, has a new password, or may have no phone any more. */
  removeUser(name: string): void {
    this.#keys.forget(name);
    const { users, domain } = this.#parts;
    if (users.findPhone(name, domain) === undefined) this.#host.removeUser(name);
    else this.#host.changePassword(name);
  }

  /** For new handshakes. Throws `PosternError` `bad-tls-identity`, and then everything stays as it is. */
  updateTls(identity: TlsIdentity): void {
    this.#listeners.updateTls(identity);
  }

  /** Refuses new calls and waits for the others; resolves with the number that is left at the deadline. */
  drain(deadlineMs: number, signal: AbortSignal): Promise<number> {
    return this.#host.drain(deadlineMs, signal);
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

function clockNow(): Clock {
  return new Clock(monotonicNow(), Date.now());
}
