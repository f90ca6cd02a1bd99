/**
 * The kernel's headers say what src/node/sys/layout.ts says: every number of it becomes a static assertion, which the
 * compilers of both architectures check. Nothing is run, so a cross compiler is as good as a machine.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import * as general from "../../../src/node/sys/layout.ts";
import * as privileged from "../../../src/node/sys/privilege-layout.ts";
import { type Peer, peerPath, requirePeer } from "../../support/peers.ts";

const layout = { ...general, ...privileged };

const headers = [
  "sys/socket.h",
  "sys/un.h",
  "sys/time.h",
  "pwd.h",
  "linux/prctl.h",
  "linux/capability.h",
  "linux/pkt_sched.h",
  "linux/pkt_cls.h",
  "linux/if_ether.h",
  "sys/epoll.h",
  "poll.h",
  "sys/timerfd.h",
  "sys/eventfd.h",
  "time.h",
  "netinet/in.h",
  "linux/udp.h",
  "linux/ip.h",
  "linux/ipv6.h",
  "linux/errqueue.h",
  "linux/filter.h",
  "linux/sock_diag.h",
  "sys/syscall.h",
  "linux/bpf.h",
  "linux/netlink.h",
  "linux/rtnetlink.h",
  "linux/netfilter/nfnetlink.h",
  "linux/netfilter/nfnetlink_conntrack.h",
  "linux/netfilter/nf_conntrack_common.h",
  "linux/netfilter/nf_tables.h",
  "linux/if.h",
  "linux/if_arp.h",
];

/** By name in layout.ts: the structure, and its members' names in C. */
const structures: Readonly<Record<string, { c: string; members: Readonly<Record<string, string>> }>> = {
  IOVEC: { c: "struct iovec", members: { base: "iov_base", length: "iov_len" } },
  MSGHDR: {
    c: "struct msghdr",
    members: {
      name: "msg_name",
      nameLength: "msg_namelen",
      vectors: "msg_iov",
      vectorCount: "msg_iovlen",
      control: "msg_control",
      controlLength: "msg_controllen",
      flags: "msg_flags",
    },
  },
  MMSGHDR: { c: "struct mmsghdr", members: { length: "msg_len" } },
  CMSGHDR: { c: "struct cmsghdr", members: { length: "cmsg_len", level: "cmsg_level", type: "cmsg_type" } },
  SOCKADDR_IN: { c: "struct sockaddr_in", members: { family: "sin_family", port: "sin_port", address: "sin_addr" } },
  SOCKADDR_IN6: {
    c: "struct sockaddr_in6",
    members: {
      family: "sin6_family",
      port: "sin6_port",
      flow: "sin6_flowinfo",
      address: "sin6_addr",
      scope: "sin6_scope_id",
    },
  },
  SOCKADDR_UN: { c: "struct sockaddr_un", members: { family: "sun_family", path: "sun_path" } },
  UCRED: { c: "struct ucred", members: { pid: "pid", uid: "uid", gid: "gid" } },
  TIMEVAL: { c: "struct timeval", members: { seconds: "tv_sec", microseconds: "tv_usec" } },
  PASSWD: { c: "struct passwd", members: { uid: "pw_uid", gid: "pw_gid", home: "pw_dir" } },
  CAPABILITY_HEADER: { c: "struct __user_cap_header_struct", members: { version: "version", pid: "pid" } },
  CAPABILITY_DATA: {
    c: "struct __user_cap_data_struct",
    members: { effective: "effective", permitted: "permitted", inheritable: "inheritable" },
  },
  TCMSG: {
    c: "struct tcmsg",
    members: { interface: "tcm_ifindex", handle: "tcm_handle", parent: "tcm_parent", info: "tcm_info" },
  },
  SOCK_EXTENDED_ERR: {
    c: "struct sock_extended_err",
    members: { errno: "ee_errno", origin: "ee_origin", type: "ee_type", code: "ee_code", info: "ee_info" },
  },
  IPHDR: { c: "struct iphdr", members: { source: "saddr" } },
  IP6HDR: { c: "struct ipv6hdr", members: { next: "nexthdr", source: "saddr" } },
  ITIMERSPEC: { c: "struct itimerspec", members: { nanoseconds: "it_value.tv_nsec" } },
  TIMESPEC: { c: "struct timespec", members: { nanoseconds: "tv_nsec" } },
  POLLFD: { c: "struct pollfd", members: { descriptor: "fd", events: "events" } },
  SOCK_FILTER: { c: "struct sock_filter", members: { code: "code", whenTrue: "jt", whenFalse: "jf", operand: "k" } },
  SOCK_FPROG: { c: "struct sock_fprog", members: { length: "len", filter: "filter" } },
  BPF_MAP_ATTR: {
    c: "union bpf_attr",
    members: {
      type: "map_type",
      keySize: "key_size",
      valueSize: "value_size",
      entries: "max_entries",
      name: "map_name",
    },
  },
  BPF_ELEMENT_ATTR: { c: "union bpf_attr", members: { map: "map_fd", key: "key", value: "value", flags: "flags" } },
  BPF_PROGRAM_ATTR: {
    c: "union bpf_attr",
    members: {
      type: "prog_type",
      instructionCount: "insn_cnt",
      instructions: "insns",
      license: "license",
      logLevel: "log_level",
      logSize: "log_size",
      log: "log_buf",
      name: "prog_name",
    },
  },
  BPF_LINK_ATTR: {
    c: "union bpf_attr",
    members: {
      program: "link_create.prog_fd",
      interface: "link_create.target_ifindex",
      attachType: "link_create.attach_type",
    },
  },
  BPF_INFO_ATTR: {
    c: "union bpf_attr",
    members: { descriptor: "info.bpf_fd", length: "info.info_len", info: "info.info" },
  },
  // The kind that is used here is younger than some headers; the interface stands in one place in all.
  BPF_LINK_INFO: { c: "struct bpf_link_info", members: { interface: "xdp.ifindex" } },
  BPF_TEST_ATTR: {
    c: "union bpf_attr",
    members: {
      program: "test.prog_fd",
      result: "test.retval",
      sizeIn: "test.data_size_in",
      sizeOut: "test.data_size_out",
      dataIn: "test.data_in",
      dataOut: "test.data_out",
      flags: "test.flags",
    },
  },
  SOCKADDR_NL: { c: "struct sockaddr_nl", members: { family: "nl_family", groups: "nl_groups" } },
  NFGENMSG: { c: "struct nfgenmsg", members: { family: "nfgen_family" } },
  NLMSGHDR: { c: "struct nlmsghdr", members: { length: "nlmsg_len", type: "nlmsg_type", flags: "nlmsg_flags" } },
  RTMSG: {
    c: "struct rtmsg",
    members: {
      family: "rtm_family",
      destinationLength: "rtm_dst_len",
      sourceLength: "rtm_src_len",
      type: "rtm_type",
    },
  },
  RTATTR: { c: "struct rtattr", members: { length: "rta_len", type: "rta_type" } },
  IFINFOMSG: { c: "struct ifinfomsg", members: { type: "ifi_type", index: "ifi_index", flags: "ifi_flags" } },
  EPOLL_EVENT: { c: "struct epoll_event", members: { events: "events", data: "data" } },
};

/** What is neither a size, nor a member, nor a number with the header's own name. */
const expressions: Readonly<Record<string, string>> = {
  "CMSGHDR.data": "CMSG_ALIGN(sizeof(struct cmsghdr))",
  "CMSGHDR.space": "CMSG_SPACE(2)",
  "syscallNumbers.bpf": "__NR_bpf",
  BPF_LD_W_ABS: "BPF_LD | BPF_W | BPF_ABS",
  BPF_LD_B_ABS: "BPF_LD | BPF_B | BPF_ABS",
  BPF_LD_H_IND: "BPF_LD | BPF_H | BPF_IND",
  BPF_LD_B_IND: "BPF_LD | BPF_B | BPF_IND",
  BPF_LD_MEM: "BPF_LD | BPF_W | BPF_MEM",
  BPF_LDX_MEM: "BPF_LDX | BPF_W | BPF_MEM",
  BPF_LDX_MSH: "BPF_LDX | BPF_B | BPF_MSH",
  BPF_ADD_K: "BPF_ALU | BPF_ADD | BPF_K",
  BPF_ADD_X: "BPF_ALU | BPF_ADD | BPF_X",
  BPF_MUL_K: "BPF_ALU | BPF_MUL | BPF_K",
  BPF_LSH_K: "BPF_ALU | BPF_LSH | BPF_K",
  BPF_RSH_K: "BPF_ALU | BPF_RSH | BPF_K",
  BPF_MOD_K: "BPF_ALU | BPF_MOD | BPF_K",
  BPF_XOR_X: "BPF_ALU | BPF_XOR | BPF_X",
  BPF_JEQ_K: "BPF_JMP | BPF_JEQ | BPF_K",
  BPF_JGE_K: "BPF_JMP | BPF_JGE | BPF_K",
  BPF_RET_A: "BPF_RET | BPF_A",
  BPF_TAX: "BPF_MISC | BPF_TAX",
  BPF_TXA: "BPF_MISC | BPF_TXA",
  "NLMSGERR.error": "sizeof(struct nlmsghdr) + offsetof(struct nlmsgerr, error)",
  INGRESS: "TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)",
  "SK_MEMINFO.size": "4 * SK_MEMINFO_VARS",
  "SK_MEMINFO.received": "4 * SK_MEMINFO_RMEM_ALLOC",
  "SK_MEMINFO.room": "4 * SK_MEMINFO_RCVBUF",
  "SK_MEMINFO.drops": "4 * SK_MEMINFO_DROPS",
};

function expression(name: string, field: string | undefined): string {
  const structure = structures[name];
  const special = expressions[field === undefined ? name : `${name}.${field}`];
  if (special !== undefined) return special;
  if (structure === undefined || field === undefined) return name;
  const member = structure.members[field];
  assert.ok(field === "size" || member !== undefined, `${name}.${field} is not in the table of this test`);
  return field === "size" ? `sizeof(${structure.c})` : `offsetof(${structure.c}, ${member})`;
}

function* numbers(arch: "x64" | "arm64"): Generator<{ name: string; field?: string; value: number }> {
  for (const [name, constant] of Object.entries(layout)) {
    if (typeof constant === "number") yield { name, value: constant };
    else {
      const fields = typeof constant === "function" ? constant(arch) : constant;
      for (const [field, value] of Object.entries(fields)) yield { name: structureName(name), field, value };
    }
  }
}

/** `epollEvent(arch)` describes EPOLL_EVENT. */
function structureName(name: string): string {
  return name === "epollEvent" ? "EPOLL_EVENT" : name;
}

function probe(arch: "x64" | "arm64"): string {
  const lines = ["#define _GNU_SOURCE", "#include <stddef.h>", ...headers.map((header) => `#include <${header}>`)];
  for (const { name, field, value } of numbers(arch)) {
    const label = field === undefined ? name : `${name}.${field}`;
    lines.push(`_Static_assert((${expression(name, field)}) == ${value}, "${label} is not ${value}");`);
  }
  return `${lines.join("\n")}\n`;
}

function complaints(compiler: Peer, source: string): string {
  const { status, stderr } = spawnSync(peerPath(compiler)!, ["-std=gnu17", "-fsyntax-only", "-x", "c", "-"], {
    input: source,
    encoding: "utf8",
  });
  return status === 0 ? "" : stderr;
}

for (const [arch, compiler] of [
  ["x64", "gcc"],
  ["arm64", "aarch64-linux-gnu-gcc"],
] as const) {
  const skip = requirePeer(compiler) || (compiler === "gcc" && process.arch !== "x64" && "gcc is not one for x86-64");
  test(`sizes, offsets and numbers are the kernel's on ${arch}`, { skip }, () => {
    const source = probe(arch);
    assert.ok(source.split("_Static_assert").length > 40, "the whole layout is asserted");
    assert.equal(complaints(compiler, source), "");
    // The probe can fail: with one number wrong, it does.
    assert.match(complaints(compiler, source.replace(/== 56,/, "== 60,")), /MMSGHDR.length is not 56/);
  });
}
