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
} as const;

/** A `msghdr`, and how many bytes were received or sent. */
export const MMSGHDR = { size: 64, length: 56 } as const;

/** `space`: what one with two bytes of data takes. */
export const CMSGHDR = { size: 16, length: 0, level: 8, type: 12, data: 16, space: 24 } as const;

export const SOCKADDR_IN = { size: 16, family: 0, port: 2, address: 4 } as const;
export const SOCKADDR_IN6 = { size: 28, family: 0, port: 2, flow: 4, address: 8, scope: 24 } as const;

/** EPOLL_EVENT: packed on x86-64 alone. */
export function epollEvent(arch: string): { readonly size: number; readonly events: number; readonly data: number } {
  return arch === "x64" ? { size: 12, events: 0, data: 4 } : { size: 16, events: 0, data: 8 };
}

/** `nanoseconds`: of the time until it goes off; the interval is in front. */
export const ITIMERSPEC = { size: 32, nanoseconds: 24 } as const;

export const CLOCK_MONOTONIC = 1;
export const TFD_CLOEXEC = 0o2000000;
export const TFD_NONBLOCK = 0o4000;

export const AF_INET = 2;
export const AF_INET6 = 10;

export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
/** Also the level of its options. */
export const IPPROTO_UDP = 17;
export const UDP_SEGMENT = 103;

export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
