/** The kernel's routes, asked and heard of by rtnetlink: by which interface a packet leaves, and how long it may be. */
import { constants } from "node:os";
import type { Address } from "../../core/base/address.ts";
import {
  AF_INET,
  AF_INET6,
  ARPHRD_ETHER,
  IFF_UP,
  IFINFOMSG,
  IFLA_IFNAME,
  IFLA_MTU,
  NLM_F_REQUEST,
  NLMSGHDR,
  RTA_DST,
  RTA_METRICS,
  RTA_OIF,
  RTA_SRC,
  RTAX_MTU,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV4_ROUTE,
  RTMGRP_IPV4_RULE,
  RTMGRP_IPV6_IFADDR,
  RTMGRP_IPV6_ROUTE,
  RTMGRP_LINK,
  RTMSG,
  RTN_UNICAST,
} from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { attributesIn, openNetlink, putAttribute } from "./netlink.ts";
import { closeDescriptor } from "./udp-socket.ts";

const { EAGAIN, EINTR } = constants.errno;

/** The way to another host. */
export interface Route {
  /** An interface's number. */
  readonly interface: number;
  /** The longest packet, IP header included. */
  readonly mtu: number;
}

interface Link {
  readonly index: number;
  readonly isEthernet: boolean;
  readonly isUp: boolean;
  readonly mtu: number;
}

const room = 16_384;
const groups =
  RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;

export class Routes {
  readonly #libc: Libc = libc();
  readonly #names: readonly string[];
  /** The numbers of those named that there are, until something changes. */
  #named: readonly number[] | undefined;
  /** By number, until something changes: each flow asks for two. */
  readonly #links: Map<number, Link | undefined> = new Map();
  readonly #questions: number;
  /** Hears of every change, from before the first question. */
  readonly #changes: number;
  readonly #memory: NativeMemory = new NativeMemory("netlink message", room);
  readonly #view: DataView = new DataView(this.#memory.bytes.buffer);

  /** `names`: of interfaces, of which others are not used; none: any. Throws `SystemError`. */
  constructor(names: readonly string[] = []) {
    this.#names = names;
    this.#changes = openNetlink(groups);
    try {
      this.#questions = openNetlink(0);
    } catch (error) {
      closeDescriptor(this.#changes);
      throw error;
    }
  }

  /**
   * How a packet gets from one of our addresses to another host: undefined where it does not, or only through what is no
   * Ethernet, or where the other is this host itself, or many.
   */
  find(from: Readonly<Address>, to: Readonly<Address>): Route | undefined {
    const length = this.#ask(RTM_GETROUTE, (at) => this.#writeRouteQuestion(at, from, to));
    if (length < NLMSGHDR.size + RTMSG.size || this.#view.getUint16(NLMSGHDR.type, true) !== RTM_NEWROUTE)
      return undefined;
    if (this.#view.getUint8(NLMSGHDR.size + RTMSG.type) !== RTN_UNICAST) return undefined;
    let index = 0;
    let pathMtu = 0;
    for (const { type, at, size } of attributesIn(this.#view, NLMSGHDR.size + RTMSG.size, length)) {
      if (type === RTA_OIF) index = this.#view.getUint32(at, true);
      if (type !== RTA_METRICS) continue;
      for (const metric of attributesIn(this.#view, at, at + size)) {
        if (metric.type === RTAX_MTU) pathMtu = this.#view.getUint32(metric.at, true);
      }
    }
    const link = this.#linkOf(index);
    if (link === undefined || !link.isEthernet || !link.isUp) return undefined;
    if (this.#names.length > 0 && !this.named.includes(index)) return undefined;
    return { interface: index, mtu: pathMtu === 0 ? link.mtu : Math.min(pathMtu, link.mtu) };
  }

  /** Those interfaces by number, of those that were named, on which packets may come in. */
  get named(): readonly number[] {
    this.#named ??= this.#names.flatMap((name) => {
      const link = this.#link(0, name);
      return link?.isEthernet === true ? [link.index] : [];
    });
    return this.#named;
  }

  /** Those names that no interface has, or none that is Ethernet. */
  get missing(): string[] {
    return this.#names.filter((name) => !this.#isEthernet(name));
  }

  /** The other names. */
  get present(): string[] {
    return this.#names.filter((name) => this.#isEthernet(name));
  }

  /** Whether links, addresses or routes have changed since this was last asked. */
  haveChanged(): boolean {
    let changed = false;
    for (;;) {
      const length = this.#libc.recvfrom(this.#changes, this.#memory.address, room, 0, 0, 0);
      if (length === -EAGAIN) return changed;
      // Whatever else: more was lost than there is room for, and that is a change too.
      changed = true;
      this.#named = undefined;
      this.#links.clear();
    }
  }

  close(): void {
    closeDescriptor(this.#changes);
    closeDescriptor(this.#questions);
    this.#memory.release();
  }

  #isEthernet(name: string): boolean {
    return this.#link(0, name)?.isEthernet === true;
  }

  #linkOf(index: number): Link | undefined {
    if (!this.#links.has(index)) this.#links.set(index, this.#link(index));
    return this.#links.get(index);
  }

  /** By number, or by name where that is 0. */
  #link(index: number, name = ""): Link | undefined {
    const length = this.#ask(RTM_GETLINK, (at) => {
      this.#view.setUint32(at + IFINFOMSG.index, index, true);
      return name === "" ? at + IFINFOMSG.size : this.#writeName(at + IFINFOMSG.size, name);
    });
    const header = NLMSGHDR.size;
    if (length < header + IFINFOMSG.size || this.#view.getUint16(NLMSGHDR.type, true) !== RTM_NEWLINK) return undefined;
    const isEthernet = this.#view.getUint16(header + IFINFOMSG.type, true) === ARPHRD_ETHER;
    const isUp = (this.#view.getUint32(header + IFINFOMSG.flags, true) & IFF_UP) !== 0;
    let mtu = 0;
    for (const { type, at } of attributesIn(this.#view, header + IFINFOMSG.size, length)) {
      if (type === IFLA_MTU) mtu = this.#view.getUint32(at, true);
    }
    return { index: this.#view.getUint32(header + IFINFOMSG.index, true), isEthernet, isUp, mtu };
  }

  #writeName(at: number, name: string): number {
    return putAttribute(this.#view, at, IFLA_IFNAME, (to) => {
      const { written } = new TextEncoder().encodeInto(`${name}\0`, this.#memory.bytes.subarray(to));
      return to + written;
    });
  }

  /** The kernel answers before the call returns. Returns the answer's length; minus errno where there is none. */
  #ask(type: number, write: (at: number) => number): number {
    this.#memory.bytes.fill(0, 0, 128);
    const length = write(NLMSGHDR.size);
    this.#view.setUint32(NLMSGHDR.length, length, true);
    this.#view.setUint16(NLMSGHDR.type, type, true);
    this.#view.setUint16(NLMSGHDR.flags, NLM_F_REQUEST, true);
    const sent = this.#libc.sendto(this.#questions, this.#memory.address, length, 0, 0, 0);
    if (sent < 0) return sent;
    for (;;) {
      const received = this.#libc.recvfrom(this.#questions, this.#memory.address, room, 0, 0, 0);
      if (received !== -EINTR) return received;
    }
  }

  #writeRouteQuestion(at: number, from: Readonly<Address>, to: Readonly<Address>): number {
    const bits = to.family === 4 ? 32 : 128;
    this.#view.setUint8(at + RTMSG.family, to.family === 4 ? AF_INET : AF_INET6);
    this.#view.setUint8(at + RTMSG.destinationLength, bits);
    this.#view.setUint8(at + RTMSG.sourceLength, bits);
    return this.#writeIp(this.#writeIp(at + RTMSG.size, RTA_DST, to), RTA_SRC, from);
  }

  #writeIp(at: number, type: number, { family, w0, w1, w2, w3 }: Readonly<Address>): number {
    const words = family === 4 ? [w3] : [w0, w1, w2, w3];
    return putAttribute(this.#view, at, type, (value) => {
      for (const [i, word] of words.entries()) this.#view.setUint32(value + 4 * i, word);
      return value + 4 * words.length;
    });
  }
}
