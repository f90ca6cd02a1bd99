/**
 * What takes a privilege, as `layout.ts` has everything else: sizes, offsets and numbers of the kernel's and the C library's
 * interface. The same test checks them.
 */
/** What of a user's entry is used; texts are where the pointers say. */
export const PASSWD = { size: 48, uid: 16, gid: 20, home: 32 } as const;
export const PR_SET_KEEPCAPS = 8;
export const PR_CAPBSET_DROP = 24;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_RAISE = 2;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** Of a thread; there are two of the second, one for each 32 capabilities. */
export const CAPABILITY_HEADER = { size: 8, version: 0, pid: 4 } as const;
export const CAPABILITY_DATA = { size: 12, effective: 0, permitted: 4, inheritable: 8 } as const;
export const _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
export const CAP_NET_ADMIN = 12;
export const CAP_BPF = 39;

/** Of filters at the ingress of an interface. */
export const NLM_F_ACK = 4;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_DUMP = 0x300;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
/** In an answer that is an error: zero, or minus errno. */
export const NLMSGERR = { error: 16 } as const;
export const RTM_NEWQDISC = 36;
export const RTM_NEWTFILTER = 44;
export const RTM_DELTFILTER = 45;
export const RTM_GETTFILTER = 46;
export const TCMSG = { size: 20, interface: 4, handle: 8, parent: 12, info: 16 } as const;
export const TCA_KIND = 1;
export const TCA_OPTIONS = 2;
export const TCA_BPF_FD = 6;
export const TCA_BPF_NAME = 7;
export const TCA_BPF_FLAGS = 8;
export const TCA_BPF_FLAG_ACT_DIRECT = 1;
export const TC_H_CLSACT = 0xfffffff1;
/** What packets that come in are shown to. */
export const INGRESS = 0xfffffff2;
export const ETH_P_ALL = 3;
