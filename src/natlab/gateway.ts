/**
 * The box between an inside and an outside: a router with a firewall, and with a NAT for IPv4. IPv6 is routed, never
 * translated. The firewall sees inside addresses both ways. What goes from inside to an outside address of the box
 * itself turns around in it (hairpin); that never crosses the firewall inward, and its payload is left alone.
 *
 *   world.gateway("home", { nat: natBehavior() }).outside(internet, "203.0.113.10").inside(home, "192.168.1.1/24");
 */
import type { Address } from "../core/base/address.ts";
import { after } from "../core/base/machine.ts";
import type { Prefix } from "../core/base/prefix.ts";
import type { NatBehavior } from "./behavior.ts";
import type { Direction, Firewall } from "./firewall/firewall.ts";
import type { Interface, Link, Node } from "./link.ts";
import { Rfc4787Nat } from "./nat/rfc4787-nat.ts";
import { isFragmented, type Packet, type TcpPacket, withPayload } from "./packet.ts";
import { replaceAddress } from "./payload.ts";
import { hop, wayOut } from "./router.ts";
import type { DropReason } from "./sightings.ts";
import { type Surroundings, toAddress, toPrefix } from "./surroundings.ts";
import { Flag, has, isOpening } from "./tcp/segment.ts";
import { resetFor, resetLike } from "./tcp/transmit.ts";

export interface GatewayOptions {
  /** Without it IPv4 is routed as IPv6 is. */
  readonly nat?: NatBehavior;
  readonly firewall?: Firewall;
}

/** RFC 5382 REQ-4: how long an unsolicited SYN is not answered. */
const SYN_PATIENCE = 6000;

const unknown: ReadonlySet<DropReason> = new Set(["no-mapping", "no-session", "filtered"]);

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
    if (via === this.#outside) this.#enter(packet, nat, via);
    else this.#leave(packet, nat, via);
  }

  #isTranslated(address: Readonly<Address>): boolean {
    return this.nat !== undefined && address.family === 4;
  }

  #leave(packet: Packet, nat: Rfc4787Nat | undefined, via: Interface): void {
    const { now } = this.#surroundings.agenda;
    const passed = this.#judge(packet, "outbound", packet, via);
    if (passed === undefined) return;
    if (nat?.holds(packet.destination)) return this.#turnAround(passed, nat);
    const way = wayOut(this.#outside ? [...this.#inside, this.#outside] : this.#inside, packet.destination);
    if (nat === undefined || way !== this.#outside) return hop(this, way, passed, this.#surroundings);
    const source = nat.leaving(passed, now);
    if (typeof source === "string") return this.#refuse(packet, source, nat, via);
    const rewritten = this.#rewrite(passed, packet.source, source);
    hop(this, way, { ...rewritten, source }, this.#surroundings);
  }

  #enter(packet: Packet, nat: Rfc4787Nat | undefined, via: Interface): void {
    const { now } = this.#surroundings.agenda;
    let inward = packet;
    if (nat !== undefined) {
      const destination = nat.entering(packet, packet.source, now);
      if (typeof destination === "string") return this.#refuse(packet, destination, nat, via);
      inward = { ...this.#rewrite(packet, packet.destination, destination), destination };
    }
    const passed = this.#judge(inward, "inbound", packet, via);
    if (passed !== undefined) hop(this, wayOut(this.#inside, passed.destination), passed, this.#surroundings);
  }

  /** RFC 4787 REQ-9: filtering judges the outside source, whichever source the receiver is shown. */
  #turnAround(packet: Packet, nat: Rfc4787Nat): void {
    const { hairpin } = nat.behavior;
    if (hairpin === "none") return this.#drop(packet, "no-hairpin");
    const { now } = this.#surroundings.agenda;
    // What is for nobody is not forwarded, and makes no mapping: the new one could be of the very port it is sent to.
    if (!nat.isMapped(packet, now)) return this.#drop(packet, "no-mapping");
    const outside = nat.leaving(packet, now);
    if (typeof outside === "string") return this.#drop(packet, outside);
    const destination = nat.entering(packet, outside, now);
    if (typeof destination === "string") return this.#drop(packet, destination);
    const source = hairpin === "external" ? outside : packet.source;
    hop(this, wayOut(this.#inside, destination), { ...packet, source, destination }, this.#surroundings);
  }

  /**
   * What goes on in place of `packet`: itself, if the firewall passes it; a RST that takes its place, if that resets;
   * else nothing. `arrived` is what came by `via`, before it was translated.
   */
  #judge(packet: Packet, direction: Direction, arrived: Packet, via: Interface): Packet | undefined {
    const { now } = this.#surroundings.agenda;
    const verdict = this.#firewall?.judge(packet, direction, now) ?? "pass";
    if (verdict === "pass") return packet;
    this.#drop(arrived, "firewall");
    if (verdict === "drop" || packet.protocol !== "tcp" || arrived.protocol !== "tcp") return undefined;
    this.#answerReset(arrived, via);
    return isOpening(packet.segment) || has(packet.segment, Flag.Rst) ? undefined : resetLike(packet);
  }

  /** Drops what the NAT does not know, and says so by a RST where it is declared to. */
  #refuse(packet: Packet, reason: DropReason, nat: Rfc4787Nat, via: Interface): void {
    this.#drop(packet, reason);
    if (packet.protocol !== "tcp" || !unknown.has(reason)) return;
    const { strayTcp, unsolicitedSyn } = nat.behavior;
    const answer = isOpening(packet.segment) ? unsolicitedSyn : strayTcp;
    if (answer === "reset") this.#answerReset(packet, via);
    else if (answer === "reset-later") this.#answerLater(packet, nat, via);
  }

  /**
   * RFC 5382 REQ-4: after six seconds, unless an inside host has opened the same connection meanwhile.
   *
   * DEVIATES RFC 5382 REQ-4: with a RST, where ICMP would say that the port is unreachable: there is no ICMP here.
   */
  #answerLater(packet: TcpPacket, nat: Rfc4787Nat, via: Interface): void {
    const { agenda } = this.#surroundings;
    agenda.at(after(agenda.now, SYN_PATIENCE), () => {
      if (!nat.isExpected(packet.source, packet.destination, agenda.now)) this.#answerReset(packet, via);
    });
  }

  #answerReset(packet: TcpPacket, via: Interface): void {
    if (!has(packet.segment, Flag.Rst)) via.link.carry(resetFor(packet), via);
  }

  #rewrite(packet: Packet, from: Readonly<Address>, to: Readonly<Address>): Packet {
    // In TCP another length would need other sequence numbers from there on, which no NAT here keeps.
    if (!this.nat?.behavior.rewritesPayload || packet.protocol === "tcp" || isFragmented(packet)) return packet;
    const payload = replaceAddress(packet.payload, from, to);
    return payload === packet.payload ? packet : withPayload(packet, payload);
  }

  #drop(packet: Packet, reason: DropReason): void {
    this.#surroundings.sightings.drop(this.name, packet, reason);
  }
}
