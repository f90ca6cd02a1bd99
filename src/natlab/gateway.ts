/**
 * The box between an inside and an outside: a router with a firewall, and with a NAT for IPv4. IPv6 is routed, never
 * translated. The firewall sees inside addresses both ways. What goes from inside to an outside address of the box
 * itself turns around in it (hairpin); that never crosses the firewall inward, and its payload is left alone.
 *
 *   world.gateway("home", { nat: natBehavior() }).outside(internet, "203.0.113.10").inside(home, "192.168.1.1/24");
 */
import type { Address } from "../core/base/address.ts";
import type { Prefix } from "../core/base/prefix.ts";
import type { NatBehavior } from "./behavior.ts";
import type { Firewall } from "./firewall/firewall.ts";
import type { Interface, Link, Node } from "./link.ts";
import { Rfc4787Nat } from "./nat/rfc4787-nat.ts";
import { isFragmented, type Packet, withPayload } from "./packet.ts";
import { replaceAddress } from "./payload.ts";
import { hop, wayOut } from "./router.ts";
import type { DropReason } from "./sightings.ts";
import { type Surroundings, toAddress, toPrefix } from "./surroundings.ts";

export interface GatewayOptions {
  /** Without it IPv4 is routed as IPv6 is. */
  readonly nat?: NatBehavior;
  readonly firewall?: Firewall;
}

const everything = ["0.0.0.0/0", "::/0"].map(toPrefix);

export class Gateway implements Node {
  readonly name: string;
  readonly nat: Rfc4787Nat | undefined;
  readonly #firewall: Firewall | undefined;
  readonly #surroundings: Surroundings;
  readonly #inside: Interface[] = [];
  readonly #routed: Prefix[] = [];
  #outside: Interface | undefined;

  constructor(name: string, options: GatewayOptions, surroundings: Surroundings) {
    this.name = name;
    this.#surroundings = surroundings;
    this.#firewall = options.firewall;
    this.nat = options.nat && new Rfc4787Nat(options.nat, [], surroundings.random.fork());
  }

  /** Connects its outside. IPv4 addresses are the NAT's. Once more: the addresses, and with them the NAT, are new. */
  outside(link: Link, ...addresses: readonly string[]): this {
    if (this.#outside !== undefined) this.#outside.link.detach(this.#outside);
    const own = addresses.map((text) => toAddress(text));
    this.#outside = link.attach(this, own);
    for (const prefix of this.#routed) link.announce(prefix, this.#outside);
    this.nat?.changeAddresses(own.filter(({ family }) => family === 4));
    return this;
  }

  /** Connects an inside, where everything else is reached by this box: "192.168.1.1/24", "2001:db8:1::1/64". */
  inside(link: Link, ...addresses: readonly string[]): this {
    const prefixes = addresses.map(toPrefix);
    const attached = link.attach(
      this,
      prefixes.map(({ address }) => address),
    );
    for (const prefix of everything) link.announce(prefix, attached);
    this.#inside.push(attached);
    for (const prefix of prefixes) {
      if (this.#isTranslated(prefix.address)) continue;
      this.#routed.push(prefix);
      this.#outside?.link.announce(prefix, this.#outside);
    }
    return this;
  }

  /** Every mapping and every flow is forgotten. */
  reboot(): void {
    this.nat?.reboot();
    this.#firewall?.reset?.();
  }

  receive(packet: Packet, via: Interface): void {
    // RFC 1812 §5.3.1: what has no hops left is not forwarded, and so makes no mapping and opens no filter.
    if (packet.hopLimit <= 1) return this.#drop(packet, "hop-limit");
    const nat = this.#isTranslated(packet.destination) ? this.nat : undefined;
    if (nat?.behavior.fragments === "drop" && isFragmented(packet)) return this.#drop(packet, "fragment");
    if (via === this.#outside) this.#enter(packet, nat);
    else this.#leave(packet, nat);
  }

  #isTranslated(address: Readonly<Address>): boolean {
    return this.nat !== undefined && address.family === 4;
  }

  #leave(packet: Packet, nat: Rfc4787Nat | undefined): void {
    const { now } = this.#surroundings.agenda;
    if (this.#firewall?.passes(packet, "outbound", now) === false) return this.#drop(packet, "firewall");
    if (nat?.holds(packet.destination)) return this.#turnAround(packet, nat);
    const way = wayOut(this.#outside ? [...this.#inside, this.#outside] : this.#inside, packet.destination);
    if (nat === undefined || way !== this.#outside) return hop(this, way, packet, this.#surroundings);
    const source = nat.outgoingSource(packet.source, packet.destination, now);
    if (typeof source === "string") return this.#drop(packet, source);
    const rewritten = this.#rewrite(packet, packet.source, source);
    hop(this, way, { ...rewritten, source }, this.#surroundings);
  }

  #enter(packet: Packet, nat: Rfc4787Nat | undefined): void {
    const { now } = this.#surroundings.agenda;
    let inward = packet;
    if (nat !== undefined) {
      const destination = nat.incomingDestination(packet.source, packet.destination, now);
      if (typeof destination === "string") return this.#drop(packet, destination);
      inward = { ...this.#rewrite(packet, packet.destination, destination), destination };
    }
    if (this.#firewall?.passes(inward, "inbound", now) === false) return this.#drop(packet, "firewall");
    hop(this, wayOut(this.#inside, inward.destination), inward, this.#surroundings);
  }

  /** RFC 4787 REQ-9: filtering judges the outside source, whichever source the receiver is shown. */
  #turnAround(packet: Packet, nat: Rfc4787Nat): void {
    const { hairpin } = nat.behavior;
    if (hairpin === "none") return this.#drop(packet, "no-hairpin");
    const { now } = this.#surroundings.agenda;
    const outside = nat.outgoingSource(packet.source, packet.destination, now);
    if (typeof outside === "string") return this.#drop(packet, outside);
    const destination = nat.incomingDestination(outside, packet.destination, now);
    if (typeof destination === "string") return this.#drop(packet, destination);
    const source = hairpin === "external" ? outside : packet.source;
    hop(this, wayOut(this.#inside, destination), { ...packet, source, destination }, this.#surroundings);
  }

  #rewrite(packet: Packet, from: Readonly<Address>, to: Readonly<Address>): Packet {
    if (!this.nat?.behavior.rewritesPayload || isFragmented(packet)) return packet;
    const payload = replaceAddress(packet.payload, from, to);
    return payload === packet.payload ? packet : withPayload(packet, payload);
  }

  #drop(packet: Packet, reason: DropReason): void {
    this.#surroundings.sightings.drop(this.name, packet, reason);
  }
}
