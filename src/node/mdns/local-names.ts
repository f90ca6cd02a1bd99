/**
 * Names instead of addresses, on the host's links (draft-ietf-mmusic-mdns-ice-candidates): those of the peer are looked
 * up, and those of this connection are answered for. Sockets are open while there is something to look up, and as long
 * as names are offered.
 */
import { randomUUID } from "node:crypto";
import { type Address, formatIp } from "../../core/base/address.ts";
import { MdnsLink } from "./link.ts";
import { type Found, Lookups } from "./lookups.ts";
import { type Place, placesOf } from "./places.ts";

interface OfferedName {
  readonly name: string;
  readonly address: Readonly<Address>;
  /** On which links it was said in the last second. */
  readonly saidOn: Set<MdnsLink>;
}

/** RFC 6762 §6. */
const SAY_AGAIN_MS = 1_000;

export class LocalNames {
  readonly #interfaces: readonly string[] | undefined;
  readonly #lookups = new Lookups();
  /** By interface and family. */
  readonly #links: Map<string, Promise<MdnsLink | undefined>> = new Map();
  /** By address. */
  readonly #offered: Map<string, OfferedName> = new Map();
  #isOffering = false;
  #isClosed = false;
  #trouble = "no interface has an address for it.";

  /** `interfaces`: the names of those that may be used. */
  constructor(interfaces: readonly string[] | undefined) {
    this.#interfaces = interfaces;
  }

  /** Names may be offered from now on; a sentence where that cannot be. */
  async beginOffering(): Promise<string | undefined> {
    this.#isOffering = (await this.#openLinks()).length > 0;
    return this.#isOffering ? undefined : this.#failure();
  }

  /** The name that is shown instead of the address; undefined where none can be answered for. */
  nameOf(address: Readonly<Address>): string | undefined {
    if (!this.#isOffering) return undefined;
    const key = formatIp(address);
    const known = this.#offered.get(key);
    if (known !== undefined) return known.name;
    // mDNS candidates draft §3.1.1: it is nobody else's, so that nobody is asked for it first.
    const name = `${randomUUID()}.local`;
    this.#offered.set(key, { name, address, saidOn: new Set() });
    // The address may be of an interface that has come since.
    void this.#openLinks();
    return name;
  }

  async find(name: string): Promise<Found> {
    const found = this.#lookups.find(name, () => void this.#ask(name));
    if ((await this.#openLinks()).length === 0) return { why: this.#failure() };
    const result = await found;
    if (this.#lookups.isIdle && !this.#isOffering) await this.#closeLinks();
    return result;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#isOffering = false;
    this.#lookups.close();
    await this.#closeLinks();
  }

  #failure(): string {
    return `mDNS cannot be used here: ${this.#trouble}`;
  }

  async #ask(name: string): Promise<void> {
    for (const link of await this.#openLinks()) link.ask(name);
  }

  /** Of every place that there is now. */
  async #openLinks(): Promise<MdnsLink[]> {
    if (this.#isClosed) return [];
    const links = placesOf(this.#interfaces).map((place) => {
      const key = `${place.name} ${place.family}`;
      const known = this.#links.get(key);
      if (known !== undefined) return known;
      const opening = this.#open(place, key);
      this.#links.set(key, opening);
      return opening;
    });
    return (await Promise.all(links)).filter((link) => link !== undefined);
  }

  async #open(place: Place, key: string): Promise<MdnsLink | undefined> {
    try {
      return await MdnsLink.open(place, {
        handleQuestion: (link, name) => this.#answer(link, name),
        handleAnswer: (name, addresses) => this.#lookups.take(name, addresses),
      });
    } catch (error) {
      this.#trouble = (error as Error).message;
      this.#links.delete(key);
      return undefined;
    }
  }

  #answer(link: MdnsLink, asked: string): void {
    const offered = [...this.#offered.values()].find(({ name }) => name === asked);
    if (offered === undefined || offered.saidOn.has(link)) return;
    // RFC 6762 §6: a record is multicast no more than once in a second.
    offered.saidOn.add(link);
    setTimeout(() => offered.saidOn.delete(link), SAY_AGAIN_MS).unref();
    link.answer(offered.name, offered.address);
  }

  async #closeLinks(): Promise<void> {
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map(async (link) => (await link)?.close()));
  }
}
