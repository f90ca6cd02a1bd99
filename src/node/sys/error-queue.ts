/** ICMP messages about datagrams that a socket has sent: the kernel keeps them in a queue of their own (IP_RECVERR). */
import { constants } from "node:os";
import { type Address, blankAddress } from "../../core/base/address.ts";
import { CONTROL_ROOM } from "./ip-fields.ts";
import {
  CMSGHDR,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  MMSGHDR,
  MSG_ERRQUEUE,
  MSGHDR,
  SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_ICMP6,
  SO_EE_ORIGIN_LOCAL,
  SOCK_EXTENDED_ERR,
} from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { readSocketAddress, SOCKET_ADDRESS_ROOM } from "./socket-address.ts";
import { setOption } from "./udp-socket.ts";

const nameAt = MMSGHDR.size;
const controlAt = nameAt + SOCKET_ADDRESS_ROOM;
/** What a socket hears of every datagram, the error, and behind it who has sent the ICMP message. */
const controlRoom = CONTROL_ROOM + CMSGHDR.size + SOCK_EXTENDED_ERR.size + SOCKET_ADDRESS_ROOM;

/** RFC 792: the code is that of a datagram that would have had to be cut up, and must not be. */
const unreachable = 3;
const tooLong = 4;

/** From now on the kernel keeps them, and a pending one fails one call on the socket. Throws `SystemError`. */
export function keepErrors(socket: number, family: 4 | 6): void {
  if (family === 4) setOption(socket, IPPROTO_IP, IP_RECVERR, 1);
  else setOption(socket, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

export class ErrorQueue {
  readonly #libc: Libc = libc();
  readonly #memory: NativeMemory = new NativeMemory("socket errors", controlAt + controlRoom);
  /** Of the last one that was read: where the datagram was going. */
  readonly to: Address = blankAddress();
  type = 0;
  code = 0;
  /** What the message says besides; the next link's MTU where a datagram was too long. */
  info = 0;

  /** Takes one out of the queue; false when there is none. */
  take(socket: number): boolean {
    const { address, u32 } = this.#memory;
    const memory = this.#memory;
    memory.putPointer(MSGHDR.name, address + nameAt);
    u32[MSGHDR.nameLength >> 2] = SOCKET_ADDRESS_ROOM;
    memory.putPointer(MSGHDR.control, address + controlAt);
    u32[MSGHDR.controlLength >> 2] = controlRoom;
    return this.#libc.recvmmsg(socket, address, 1, MSG_ERRQUEUE, 0) === 1;
  }

  /**
   * Reads what `take` took; false when no ICMP message made it. That the kernel itself has refused a datagram, which would
   * have had to be cut up, reads as ICMP would say it of the next router; the port is 0 then.
   */
  read(): boolean {
    const { u32, bytes } = this.#memory;
    const error = this.#find();
    if (error < 0) return false;
    const at = error + CMSGHDR.data;
    const origin = bytes[at + SOCK_EXTENDED_ERR.origin];
    const isRefused =
      origin === SO_EE_ORIGIN_LOCAL && u32[(at + SOCK_EXTENDED_ERR.errno) >> 2] === constants.errno.EMSGSIZE;
    if (origin !== SO_EE_ORIGIN_ICMP && origin !== SO_EE_ORIGIN_ICMP6 && !isRefused) return false;
    this.type = isRefused ? unreachable : (bytes[at + SOCK_EXTENDED_ERR.type] as number);
    this.code = isRefused ? tooLong : (bytes[at + SOCK_EXTENDED_ERR.code] as number);
    this.info = u32[(at + SOCK_EXTENDED_ERR.info) >> 2] as number;
    readSocketAddress(this.#memory, nameAt, this.to);
    return true;
  }

  /** Where the control message is that tells of an error; -1 when there is none. */
  #find(): number {
    const { u32 } = this.#memory;
    const end = controlAt + (u32[MSGHDR.controlLength >> 2] as number);
    let at = controlAt;
    while (at + CMSGHDR.size + SOCK_EXTENDED_ERR.size <= end) {
      const level = u32[(at + CMSGHDR.level) >> 2];
      const kind = u32[(at + CMSGHDR.type) >> 2];
      if (level === IPPROTO_IP && kind === IP_RECVERR) return at;
      if (level === IPPROTO_IPV6 && kind === IPV6_RECVERR) return at;
      at += ((u32[(at + CMSGHDR.length) >> 2] as number) + 7) & ~7;
    }
    return -1;
  }

  release(): void {
    this.#memory.release();
  }
}
