/**
 * Sizes and offsets of the kernel's structures, in bytes, and the numbers of its interface: as on Linux on x86-64 and arm64,
 * both 64-bit and little-endian. test/node/sys/layout.test.ts compiles a probe against the kernel's headers and compares.
 */
export const IOVEC = { size: 16, base: 0, length: 8 } as const;

export const MSGHDR = {
  size: 56,
  name: 0,
  nameLength: 8,
  vectors: 16,
  vectorCount: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
} as const;

/** A `msghdr`, and how many bytes were received or sent. */
export const MMSGHDR = { size: 64, length: 56 } as const;

/** `space`: what one with up to eight bytes of data takes. */
export const CMSGHDR = { size: 16, length: 0, level: 8, type: 12, data: 16, space: 24 } as const;

export const SOCKADDR_IN = { size: 16, family: 0, port: 2, address: 4 } as const;
export const SOCKADDR_IN6 = { size: 28, family: 0, port: 2, flow: 4, address: 8, scope: 24 } as const;

/** A path in the file system ends with a zero; one that begins with a zero is nowhere in it. */
export const SOCKADDR_UN = { size: 110, family: 0, path: 2 } as const;
/** Who opened the other end of a Unix socket. */
export const UCRED = { size: 12, pid: 0, uid: 4, gid: 8 } as const;
export const TIMEVAL = { size: 16, seconds: 0, microseconds: 8 } as const;

/** EPOLL_EVENT: packed on x86-64 alone. */
export function epollEvent(arch: string): { readonly size: number; readonly events: number; readonly data: number } {
  return arch === "x64" ? { size: 12, events: 0, data: 4 } : { size: 16, events: 0, data: 8 };
}

/** An instruction of classic BPF, and how many there are where. */
export const SOCK_FILTER = { size: 8, code: 0, whenTrue: 2, whenFalse: 3, operand: 4 } as const;
export const SOCK_FPROG = { size: 16, length: 0, filter: 8 } as const;
export const BPF_LD_W_ABS = 0x20;
export const BPF_LD_B_ABS = 0x30;
export const BPF_LD_H_IND = 0x48;
export const BPF_LD_B_IND = 0x50;
export const BPF_LD_MEM = 0x60;
export const BPF_LDX_MEM = 0x61;
export const BPF_LDX_MSH = 0xb1;
export const BPF_ST = 0x02;
export const BPF_ADD_K = 0x04;
export const BPF_ADD_X = 0x0c;
export const BPF_MUL_K = 0x24;
export const BPF_LSH_K = 0x64;
export const BPF_RSH_K = 0x74;
export const BPF_MOD_K = 0x94;
export const BPF_XOR_X = 0xac;
export const BPF_JEQ_K = 0x15;
export const BPF_JGE_K = 0x35;
export const BPF_RET_A = 0x16;
export const BPF_TAX = 0x07;
export const BPF_TXA = 0x87;
/** Of an instruction's offset: from the IP header on, instead of from the payload. */
export const SKF_NET_OFF = -0x100000;

/** How an IP header begins; `next` says what is behind it. */
export const IPHDR = { size: 20, source: 12 } as const;
export const IP6HDR = { size: 40, next: 6, source: 8 } as const;

/** What SO_MEMINFO says: numbers of 32 bits, of which these are of the receive queue. */
export const SK_MEMINFO = { size: 36, received: 0, room: 4, drops: 32 } as const;

/** What the error queue tells of an ICMP message; `info` is the MTU where there is one. */
export const SOCK_EXTENDED_ERR = { size: 16, errno: 0, origin: 4, type: 5, code: 6, info: 8 } as const;
export const SO_EE_ORIGIN_LOCAL = 1;
export const SO_EE_ORIGIN_ICMP = 2;
export const SO_EE_ORIGIN_ICMP6 = 3;

/** `nanoseconds`: of the time until it goes off; the interval is in front. */
export const ITIMERSPEC = { size: 32, nanoseconds: 24 } as const;

export const TIMESPEC = { size: 16, nanoseconds: 8 } as const;
export const POLLFD = { size: 8, descriptor: 0, events: 4 } as const;
export const POLLIN = 1;
export const PR_GET_TIMERSLACK = 30;

export const CLOCK_MONOTONIC = 1;
export const TFD_CLOEXEC = 0o2000000;
export const TFD_NONBLOCK = 0o4000;

export const EFD_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_PEERCRED = 17;
export const SO_RCVTIMEO = 20;
export const SO_SNDTIMEO = 21;
export const SO_ATTACH_REUSEPORT_CBPF = 51;
export const SO_MEMINFO = 55;
export const MSG_PEEK = 2;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
/** Descriptors, in a message over a Unix socket. */
export const SCM_RIGHTS = 1;
/** These protocols are the levels of their options, too. */
export const IPPROTO_IP = 0;
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_MTU_DISCOVER = 10;
export const IP_PMTUDISC_DO = 2;
export const IP_PMTUDISC_OMIT = 5;
export const IP_RECVERR = 11;
export const IP_RECVTTL = 12;
export const IP_RECVTOS = 13;
export const IPPROTO_IPV6 = 41;
export const IPV6_UNICAST_HOPS = 16;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVHOPLIMIT = 51;
export const IPV6_HOPLIMIT = 52;
export const IPV6_RECVTCLASS = 66;
export const IPV6_TCLASS = 67;
/** Also the level of its options. */
export const IPPROTO_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;

/** By command: what is filled in of `union bpf_attr`, the rest being zero. */
export const BPF_MAP_ATTR = { type: 0, keySize: 4, valueSize: 8, entries: 12, name: 28 } as const;
export const BPF_ELEMENT_ATTR = { map: 0, key: 8, value: 16, flags: 24 } as const;
export const BPF_PROGRAM_ATTR = {
  type: 0,
  instructionCount: 4,
  instructions: 8,
  license: 16,
  logLevel: 24,
  logSize: 28,
  log: 32,
  name: 48,
} as const;
export const BPF_LINK_ATTR = { program: 0, interface: 4, attachType: 8 } as const;
export const BPF_INFO_ATTR = { descriptor: 0, length: 4, info: 8 } as const;
/** Of a link to an interface, whichever kind it is. */
export const BPF_LINK_INFO = { interface: 16 } as const;
export const BPF_TEST_ATTR = {
  program: 0,
  result: 4,
  sizeIn: 8,
  sizeOut: 12,
  dataIn: 16,
  dataOut: 24,
  flags: 64,
} as const;

export const BPF_MAP_CREATE = 0;
export const BPF_MAP_LOOKUP_ELEM = 1;
export const BPF_MAP_UPDATE_ELEM = 2;
export const BPF_MAP_DELETE_ELEM = 3;
export const BPF_PROG_LOAD = 5;
export const BPF_PROG_TEST_RUN = 10;
export const BPF_OBJ_GET_INFO_BY_FD = 15;
export const BPF_LINK_CREATE = 28;
export const BPF_PROG_TYPE_SCHED_CLS = 3;

/** Of system calls that the C library has no function for. */
export function syscallNumbers(arch: string): { readonly bpf: number } {
  return arch === "x64" ? { bpf: 321 } : { bpf: 280 };
}

export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const NETLINK_ROUTE = 0;
export const SOCKADDR_NL = { size: 12, family: 0, groups: 8 } as const;
export const NLMSGHDR = { size: 16, length: 0, type: 4, flags: 6 } as const;
export const NLM_F_REQUEST = 1;
/** Lengths are those of prefixes, in bits. */
export const RTMSG = { size: 12, family: 0, destinationLength: 1, sourceLength: 2, type: 7 } as const;
export const RTATTR = { size: 4, length: 0, type: 2 } as const;
export const IFINFOMSG = { size: 16, type: 2, index: 4, flags: 8 } as const;
export const RTM_NEWLINK = 16;
export const RTM_GETLINK = 18;
export const RTM_NEWROUTE = 24;
export const RTM_GETROUTE = 26;
export const RTN_UNICAST = 1;
export const RTA_DST = 1;
export const RTA_SRC = 2;
export const RTA_OIF = 4;
export const RTA_METRICS = 8;
export const RTAX_MTU = 2;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFF_UP = 1;
export const ARPHRD_ETHER = 1;
export const RTMGRP_LINK = 1;
export const RTMGRP_IPV4_IFADDR = 0x10;
export const RTMGRP_IPV4_ROUTE = 0x40;
export const RTMGRP_IPV4_RULE = 0x80;
export const RTMGRP_IPV6_IFADDR = 0x100;
export const RTMGRP_IPV6_ROUTE = 0x400;

export const NLMSG_DONE = 3;
export const NLM_F_DUMP = 0x300;
/** Questions about netfilter: a message's type is the subsystem in its upper byte, and the subsystem's own in the lower. */
export const NETLINK_NETFILTER = 12;
export const NFGENMSG = { size: 4, family: 0 } as const;
export const NFNL_SUBSYS_CTNETLINK = 1;
export const IPCTNL_MSG_CT_NEW = 0;
export const IPCTNL_MSG_CT_GET = 1;
export const CTA_TUPLE_ORIG = 1;
export const CTA_STATUS = 3;
export const CTA_TUPLE_IP = 1;
export const CTA_TUPLE_PROTO = 2;
export const CTA_IP_V4_SRC = 1;
export const CTA_IP_V4_DST = 2;
export const CTA_IP_V6_SRC = 3;
export const CTA_IP_V6_DST = 4;
export const CTA_PROTO_NUM = 1;
export const CTA_PROTO_SRC_PORT = 2;
export const CTA_PROTO_DST_PORT = 3;
export const IPS_SRC_NAT = 0x10;
export const IPS_DST_NAT = 0x20;
export const NFNL_SUBSYS_NFTABLES = 10;
export const NFT_MSG_GETCHAIN = 4;
export const NFT_MSG_GETGEN = 16;
export const NFTA_CHAIN_TYPE = 7;
export const NFTA_GEN_ID = 1;
