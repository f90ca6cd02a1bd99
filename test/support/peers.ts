/**
 * What a test needs from the machine beyond Node: a peer program, a privilege, an address family. The answer goes into
 * node:test's `skip` option:
 *
 *   test("coturn's client relays", { skip: requirePeer("turnutils_uclient") }, async () => { … });
 *
 * It is `false` when the need is met, else the reason to skip; with POSTERN_PEERS=required an unmet need throws.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { networkInterfaces, release } from "node:os";
import { delimiter, join } from "node:path";
import { foreign } from "../../src/node/sys/foreign.ts";

/** The Debian package that holds each peer. */
const packages = {
  "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
  baresip: "baresip-core",
  chromium: "chromium",
  certutil: "libnss3-tools",
  dumpcap: "wireshark-common",
  ethtool: "ethtool",
  gcc: "gcc libc6-dev",
  ip: "iproute2",
  kamailio: "kamailio",
  miniupnpd: "miniupnpd-nftables",
  nft: "nftables",
  nsenter: "util-linux",
  openssl: "openssl",
  "pkg-config": "pkg-config",
  pidstat: "sysstat",
  ps: "procps",
  setpriv: "util-linux",
  sipp: "sip-tester",
  stun: "stun-client",
  "systemd-analyze": "systemd",
  tc: "iproute2",
  tshark: "tshark",
  turnserver: "coturn",
  turnutils_natdiscovery: "coturn",
  turnutils_peer: "coturn",
  turnutils_stunclient: "coturn",
  turnutils_uclient: "coturn",
  unshare: "util-linux",
} as const;
export type Peer = keyof typeof packages;

const capabilities = { bpf: 39, "net-admin": 12, "net-raw": 13, "sys-admin": 21, "net-bind-service": 10 } as const;
export type Privilege = keyof typeof capabilities | "root";

export type Skip = string | false;

function unmet(reason: string): string {
  if (process.env.POSTERN_PEERS === "required") throw new Error(`${reason}, and POSTERN_PEERS=required`);
  return reason;
}

/** The path of a peer program, or undefined when it is not installed. */
export function peerPath(peer: Peer): string | undefined {
  for (const directory of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"]) {
    const path = join(directory, peer);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

/** Needs every one of these programs. */
export function requirePeer(...peers: readonly Peer[]): Skip {
  const missing = peers.filter((peer) => peerPath(peer) === undefined);
  if (missing.length === 0) return false;
  const install = [...new Set(missing.map((peer) => packages[peer]))].join(" ");
  return unmet(`${missing.join(", ")} not installed (apt-get install ${install})`);
}

/** Needs a program in C to be built with this library, by its name for pkg-config. */
export function requireLibrary(name: "nice"): Skip {
  const tools = requirePeer("gcc", "pkg-config");
  if (tools) return tools;
  const isThere = spawnSync(peerPath("pkg-config")!, ["--exists", name]).status === 0;
  return isThere ? false : unmet(`lib${name} not installed (apt-get install lib${name}-dev)`);
}

/** Needs a package that npm installs only where there is a binary for the machine. */
export function requireBinary(name: "node-datachannel"): Skip {
  try {
    createRequire(import.meta.url)(name);
    return false;
  } catch {
    return unmet(`${name} has no binary here, or npm left out what is optional`);
  }
}

/** Needs foreign functions: Linux on x86-64 or arm64, and what npm installs for it. */
export function requireForeign(): Skip {
  const found = foreign();
  return found instanceof Error ? unmet(`no foreign functions here: ${found.message.split("\n")[0]}`) : false;
}

function hasPrivilege(privilege: Privilege): boolean {
  if (process.platform !== "linux") return false;
  if (privilege === "root") return process.getuid?.() === 0;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> BigInt(capabilities[privilege])) & 1n) === 1n;
}

/** Needs every one of these Linux capabilities (or to be root). */
export function requirePrivilege(...privileges: readonly Privilege[]): Skip {
  const missing = privileges.filter((privilege) => !hasPrivilege(privilege));
  return missing.length === 0 ? false : unmet(`not permitted here: ${missing.join(", ")} (run as root)`);
}

/** Needs exactly this compiler: another makes other instructions of the same source. */
export function requireCompiler(wanted: string, installed: string | undefined): Skip {
  return installed === wanted ? false : unmet(`compiler is ${installed ?? "not installed"}, not ${wanted}`);
}

/** Needs to be allowed to load programs for packets into the kernel, and a kernel that takes them (6.6). */
export function requireBpf(): Skip {
  const skip = requireForeign() || requirePrivilege("bpf", "net-admin");
  if (skip) return skip;
  const [major = 0, minor = 0] = release().split(".").map(Number);
  // No package brings another kernel.
  return major > 6 || (major === 6 && minor >= 6) ? false : `the kernel is ${release()}, not 6.6 or later`;
}

/** Needs interfaces whose other end is a process. */
export function requireTap(): Skip {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    return false;
  } catch {
    return unmet("no /dev/net/tun on this machine");
  }
}

/** Needs an IPv6 loopback address. */
export function requireIpv6(): Skip {
  const has = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));
  return has ? false : unmet("no IPv6 loopback address on this machine");
}

/** A test that keeps the machine busy, so that no other may run beside it: by itself, when it is asked for. */
export function requireStress(minutes: number): Skip {
  return process.env.POSTERN_STRESS === "1" ? false : `takes the machine for ${minutes} minutes (POSTERN_STRESS=1)`;
}

/** A test that waits for so long that it runs only when it is asked for. Its file is called `*.long.test.ts`. */
export function requireLong(minutes: number): Skip {
  return process.env.POSTERN_LONG === "1" ? false : `takes ${minutes} minutes (POSTERN_LONG=1)`;
}
