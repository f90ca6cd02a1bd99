/**
 * mDNS (RFC 6762) on one interface, over one family. Each has a socket of its own: one alone would ask on the interface
 * of the default route. All are bound to the one port that the host's other responders have too, and hear what comes on
 * any interface; so what is no neighbour's is passed over.
 */
import { createSocket, type RemoteInfo } from "node:dgram";
import mdns from "multicast-dns";
import { type Address, formatIp, parseIp } from "../../core/base/address.ts";
import { isNeighbour, type Place } from "./places.ts";

/** RFC 6762 §3. */
const GROUP_IPV6 = "ff02::fb";
/** RFC 6762 §11: a datagram from another port is none of mDNS. */
const MDNS_PORT = 5353;
/** RFC 6762 §10: of records with host names, in seconds. */
const TTL = 120;

export interface LinkHost {
  handleQuestion(link: MdnsLink, name: string): void;
  /** All that one answer says of the name. */
  handleAnswer(name: string, addresses: readonly Readonly<Address>[]): void;
}

export class MdnsLink {
  readonly #place: Place;
  readonly #mdns: mdns.MulticastDNS;
  readonly #host: LinkHost;

  /** Rejects with the operating system's error. */
  static async open(place: Place, host: LinkHost): Promise<MdnsLink> {
    const link = new MdnsLink(place, host);
    try {
      await link.#ready();
      return link;
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  private constructor(place: Place, host: LinkHost) {
    this.#place = place;
    this.#host = host;
    this.#mdns =
      place.family === 4
        ? mdns({ interface: place.address, bind: "0.0.0.0" })
        : mdns({
            ...{ type: "udp6", ip: GROUP_IPV6, interface: `::%${place.name}`, bind: "::" },
            socket: createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true }),
          });
    this.#mdns.on("query", ({ questions = [] }, from) => this.#hear(from, () => this.#takeQuestions(questions)));
    this.#mdns.on("response", ({ answers = [], additionals = [] }, from) =>
      this.#hear(from, () => this.#takeAnswers([...answers, ...additionals])),
    );
  }

  #ready(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let trouble: Error | undefined;
    // Later ones, of datagrams that are none or an interface that is gone, change nothing.
    this.#mdns.on("error", reject);
    this.#mdns.on("warning", (error) => (trouble = error));
    this.#mdns.on("networkInterface", () => resolve());
    // It has tried to join the group by now.
    this.#mdns.on("ready", () => reject(trouble ?? new Error("no multicast")));
    return promise;
  }

  #hear({ address, port }: RemoteInfo, take: () => void): void {
    const from = parseIp(address);
    if (from !== undefined && port === MDNS_PORT && isNeighbour(this.#place, from)) take();
  }

  #takeQuestions(questions: readonly { readonly name: string }[]): void {
    for (const name of new Set(questions.map((question) => question.name.toLowerCase()))) {
      this.#host.handleQuestion(this, name);
    }
  }

  #takeAnswers(answers: Parameters<typeof isAddress>[0][]): void {
    const named = Map.groupBy(answers.filter(isAddress), ({ name }) => name.toLowerCase());
    for (const [name, records] of named) {
      this.#host.handleAnswer(
        name,
        records.flatMap(({ data }) => parseIp(data) ?? []),
      );
    }
  }

  /** For addresses of both families. */
  ask(name: string): void {
    // Answers are wanted by multicast: one to this port alone may reach another program's socket.
    // And each alone (RFC 6762 §5.3 would let them share a message): Chromium passes over what asks twice.
    for (const type of ["A", "AAAA"] as const) this.#mdns.query([{ name, type }]);
  }

  answer(name: string, address: Readonly<Address>): void {
    const type = address.family === 4 ? "A" : "AAAA";
    const about = { name, ttl: TTL, class: "IN", flush: true } as const;
    this.#mdns.respond({
      answers: [{ ...about, type, data: formatIp(address) }],
      // RFC 6762 §6.1: there is no address of the other family, so that nobody waits for one.
      additionals: [{ ...about, type: "NSEC", data: { nextDomain: name, rrtypes: [type] } }],
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#mdns.destroy(resolve));
  }
}

type AddressRecord = { readonly type: "A" | "AAAA"; readonly name: string; readonly data: string };

function isAddress(record: { readonly type: string; readonly name: string }): record is AddressRecord {
  return record.type === "A" || record.type === "AAAA";
}
