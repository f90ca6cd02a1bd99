/**
 * What this host's netfilter does with our packets: whether there are rules that translate addresses, and whether it
 * translates those of one connection. It is asked by nfnetlink, which takes CAP_NET_ADMIN; who has not that is told nothing.
 */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { Address } from "../../core/base/address.ts";
import {
  AF_INET,
  AF_INET6,
  CTA_IP_V4_DST,
  CTA_IP_V4_SRC,
  CTA_IP_V6_DST,
  CTA_IP_V6_SRC,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_STATUS,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_NEW,
  IPPROTO_UDP,
  IPS_DST_NAT,
  IPS_SRC_NAT,
  NETLINK_NETFILTER,
  NFGENMSG,
  NFNL_SUBSYS_CTNETLINK,
  NFNL_SUBSYS_NFTABLES,
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETGEN,
  NFTA_CHAIN_TYPE,
  NFTA_GEN_ID,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSGHDR,
} from "./layout.ts";
import { libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { attributesIn, openNetlink, putAttribute } from "./netlink.ts";
import { SystemError } from "./system-error.ts";
import { closeDescriptor } from "./udp-socket.ts";

const { EACCES, EINTR, ENOENT } = constants.errno;

/** A message of netlink that says how a question failed: an error number, below zero. */
const NLMSG_ERROR = 2;

/** `untracked`: the host has no such connection; `unknown`: it does not say. */
export const TRACKINGS = ["translated", "untranslated", "untracked", "unknown"] as const;
export type Tracking = (typeof TRACKINGS)[number];

/** As attributes that hold others are marked. */
const NESTED = 0x8000;

/** Where attributes begin. */
const questionAt = NLMSGHDR.size + NFGENMSG.size;

const room = 16_384;
const settings = "/proc/sys/net/netfilter";

export class Netfilter {
  /** Undefined where the kernel has none. */
  readonly #socket: number | undefined;
  readonly #memory: NativeMemory = new NativeMemory("netlink message", room);
  readonly #view: DataView = new DataView(this.#memory.bytes.buffer);

  constructor() {
    try {
      this.#socket = openNetlink(0, NETLINK_NETFILTER);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }

  /** Changes whenever rules do; undefined where that cannot be told. */
  get generation(): number | undefined {
    this.#begin((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN);
    const [answer] = this.#messages(this.#ask(questionAt));
    if (answer === undefined || answer.type === NLMSG_ERROR) return undefined;
    for (const { type, at } of attributesIn(this.#view, answer.at, answer.end)) {
      if (type === NFTA_GEN_ID) return this.#view.getUint32(at);
    }
    return undefined;
  }

  /** Whether there are rules that may translate addresses; undefined where that cannot be told. */
  get translates(): boolean | undefined {
    const [tables, older] = [this.#hasChainOf("nat"), hasOlderTable("nat")];
    if (tables === true || older === true) return true;
    return tables === undefined || older === undefined ? undefined : false;
  }

  /** What becomes of packets between this address of ours and that of another host, as our socket knows them. */
  tracking(local: Readonly<Address>, remote: Readonly<Address>): Tracking {
    const [answer] = this.#messages(this.#ask(this.#writeTuple(local, remote)));
    if (answer?.type === NLMSG_ERROR && this.#view.getInt32(answer.at - NFGENMSG.size, true) === -ENOENT) {
      return "untracked";
    }
    if (answer?.type === ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW)) {
      for (const { type, at } of attributesIn(this.#view, answer.at, answer.end)) {
        if (type !== CTA_STATUS) continue;
        return (this.#view.getUint32(at) & (IPS_SRC_NAT | IPS_DST_NAT)) === 0 ? "untranslated" : "translated";
      }
    }
    return trackedConnections() === 0 ? "untracked" : "unknown";
  }

  close(): void {
    if (this.#socket !== undefined) closeDescriptor(this.#socket);
    this.#memory.release();
  }

  #begin(type: number, flags = 0, family = 0): void {
    this.#memory.bytes.fill(0, 0, questionAt);
    this.#view.setUint16(NLMSGHDR.type, type, true);
    this.#view.setUint16(NLMSGHDR.flags, NLM_F_REQUEST | flags, true);
    this.#view.setUint8(NLMSGHDR.size + NFGENMSG.family, family);
  }

  /** Sends the question. Returns how long what came first is, or minus errno. */
  #ask(length: number): number {
    if (this.#socket === undefined) return 0;
    this.#view.setUint32(NLMSGHDR.length, length, true);
    const sent = libc().sendto(this.#socket, this.#memory.address, length, 0, 0, 0);
    return sent < 0 ? sent : this.#receive(this.#socket);
  }

  #receive(socket: number): number {
    for (;;) {
      const received = libc().recvfrom(socket, this.#memory.address, room, 0, 0, 0);
      if (received !== -EINTR) return received;
    }
  }

  /** What came; `at` is where attributes begin. */
  *#messages(length: number): Generator<{ type: number; at: number; end: number }> {
    for (let at = 0; at + questionAt <= length; ) {
      const size = this.#view.getUint32(at + NLMSGHDR.length, true);
      if (size < NLMSGHDR.size || at + size > length) return;
      yield { type: this.#view.getUint16(at + NLMSGHDR.type, true), at: at + questionAt, end: at + size };
      at += (size + 3) & ~3;
    }
  }

  #writeTuple(local: Readonly<Address>, remote: Readonly<Address>): number {
    const view = this.#view;
    const isIpv4 = local.family === 4;
    this.#begin((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET, 0, isIpv4 ? AF_INET : AF_INET6);
    const ips = (at: number): number => {
      const next = this.#putIp(at, isIpv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, local);
      return this.#putIp(next, isIpv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, remote);
    };
    const port = (at: number, value: number): number => {
      view.setUint16(at, value);
      return at + 2;
    };
    const protocol = (at: number): number => {
      view.setUint8(at, IPPROTO_UDP);
      return at + 1;
    };
    return putAttribute(view, questionAt, CTA_TUPLE_ORIG | NESTED, (at) => {
      const next = putAttribute(view, at, CTA_TUPLE_IP | NESTED, ips);
      return putAttribute(view, next, CTA_TUPLE_PROTO | NESTED, (inner) => {
        const source = putAttribute(view, inner, CTA_PROTO_NUM, protocol);
        const destination = putAttribute(view, source, CTA_PROTO_SRC_PORT, (to) => port(to, local.port));
        return putAttribute(view, destination, CTA_PROTO_DST_PORT, (to) => port(to, remote.port));
      });
    });
  }

  #putIp(at: number, type: number, { family, w0, w1, w2, w3 }: Readonly<Address>): number {
    const words = family === 4 ? [w3] : [w0, w1, w2, w3];
    return putAttribute(this.#view, at, type, (to) => {
      for (const [i, word] of words.entries()) this.#view.setUint32(to + 4 * i, word);
      return to + 4 * words.length;
    });
  }

  /** Whether nftables, or iptables by it, has a chain of this type; undefined where that cannot be told. */
  #hasChainOf(wanted: string): boolean | undefined {
    if (this.#socket === undefined) return undefined;
    this.#begin((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETCHAIN, NLM_F_DUMP);
    let found = false;
    for (let length = this.#ask(questionAt); length >= NLMSGHDR.size; length = this.#receive(this.#socket)) {
      for (const { type, at, end } of this.#messages(length)) {
        if (type === NLMSG_DONE) return found;
        if (type === NLMSG_ERROR) return undefined;
        for (const part of attributesIn(this.#view, at, end)) {
          if (part.type === NFTA_CHAIN_TYPE && this.#text(part.at, part.size) === wanted) found = true;
        }
      }
    }
    return undefined;
  }

  #text(at: number, size: number): string {
    return Buffer.from(this.#memory.bytes.subarray(at, at + size))
      .toString("latin1")
      .replace(/\0+$/, "");
  }
}

/** How many connections this host tracks; 0 as well where it tracks none, whatever comes. Everybody may know. */
export function trackedConnections(): number {
  return Number(read(`${settings}/nf_conntrack_count`) ?? 0);
}

/** Seconds after which it forgets a connection of UDP that carries nothing. */
export function trackingPatience(): number {
  const times = ["", "_stream"].map((which) => Number(read(`${settings}/nf_conntrack_udp_timeout${which}`) ?? 30));
  return Math.min(...times);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Tables of iptables as it was before nftables. Their names are for root alone, and which modules are loaded for all. */
function hasOlderTable(name: "nat"): boolean | undefined {
  try {
    const names = ["ip_tables_names", "ip6_tables_names"].map((file) => read(`/proc/net/${file}`) ?? "");
    return names.join("\n").split("\n").includes(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno !== -EACCES) throw error;
    return mayHaveOlderTable(name, read("/proc/modules") ?? "");
  }
}

/** `modules`: those that are loaded. What was built into the kernel is not among them, and may be there. */
export function mayHaveOlderTable(name: "nat", modules: string): false | undefined {
  const loaded = modules.split("\n").map((line) => line.split(" ")[0] ?? "");
  const isBuiltIn = !loaded.includes("ip_tables") && !loaded.includes("ip6_tables");
  return isBuiltIn || loaded.some((module) => /^ip6?table_/.test(module) && module.endsWith(`_${name}`))
    ? undefined
    : false;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).errno === -ENOENT;
}
