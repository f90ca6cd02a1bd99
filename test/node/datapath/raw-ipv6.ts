/**
 * Datagrams over IPv6 with other headers between IPv6's and UDP's, and frames with a VLAN's tag. Who sends them needs
 * CAP_NET_RAW.
 */
import type { Address } from "../../../src/core/base/address.ts";
import { libc } from "../../../src/node/sys/libc.ts";
import { NativeMemory } from "../../../src/node/sys/native-memory.ts";
import { SOCKET_ADDRESS_ROOM, writeSocketAddress } from "../../../src/node/sys/socket-address.ts";
import { orThrow } from "../../../src/node/sys/system-error.ts";
import { closeDescriptor } from "../../../src/node/sys/udp-socket.ts";
import { udpChecksum } from "./ebpf/reference.ts";

const [AF_INET6, AF_PACKET, SOCK_RAW, IPPROTO_RAW, IPPROTO_UDP] = [10, 17, 3, 255, 17];

/**
 * Four bytes of padding (RFC 8200 §4.2), and twelve of an option for experiments, which nobody has to know (RFC 4727 §3.6): of
 * padding kernels take no more than seven. The first two bytes are the header's own.
 */
const [short, long] = [
  [0, 0, 1, 4, 0, 0, 0, 0],
  [0, 1, 0x1e, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];

/** By its type; a fragment header may be of the only fragment that there is (RFC 6946). */
const headers = {
  "hop-by-hop options": [0, short],
  "destination options": [60, short],
  "long destination options": [60, long],
  "a fragment header": [44, [0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78]],
} as const;
export type Extension = keyof typeof headers;

/** Those that come in front of UDP's header, in this order. */
export const chains: readonly (readonly Extension[])[] = [
  ["hop-by-hop options"],
  ["destination options"],
  ["long destination options"],
  ["a fragment header"],
  ["hop-by-hop options", "destination options"],
  ["hop-by-hop options", "a fragment header", "long destination options"],
];

function octets({ w0, w1, w2, w3 }: Readonly<Address>): Buffer {
  const bytes = Buffer.alloc(16);
  for (const [i, word] of [w0, w1, w2, w3].entries()) bytes.writeInt32BE(word | 0, 4 * i);
  return bytes;
}

export function ipv6Packet(
  from: Readonly<Address>,
  to: Readonly<Address>,
  chain: readonly Extension[],
  data: Uint8Array,
): Buffer {
  const udp = Buffer.concat([Buffer.alloc(8), data]);
  for (const [i, value] of [from.port, to.port, udp.length].entries()) udp.writeUInt16BE(value, 2 * i);
  udp.writeUInt16BE(udpChecksum(octets(from), octets(to), udp), 6);
  const types = [...chain.map((name): number => headers[name][0]), IPPROTO_UDP];
  const between = chain.map((name, i) => Buffer.from([types[i + 1]!, ...headers[name][1].slice(1)]));
  const behind = Buffer.concat([...between, udp]);
  const ip = Buffer.alloc(8);
  ip[0] = 0x60;
  ip.writeUInt16BE(behind.length, 4);
  ip.set([types[0]!, 64], 6);
  return Buffer.concat([ip, octets(from), octets(to), behind]);
}

export class RawIpv6 implements Disposable {
  readonly #socket = orThrow("socket", libc().socket(AF_INET6, SOCK_RAW, IPPROTO_RAW));
  readonly #memory = new NativeMemory("raw packet", SOCKET_ADDRESS_ROOM + 2_048);

  send(from: Readonly<Address>, to: Readonly<Address>, chain: readonly Extension[], data: Uint8Array): void {
    const { address, bytes } = this.#memory;
    const whole = ipv6Packet(from, to, chain, data);
    bytes.set(whole, SOCKET_ADDRESS_ROOM);
    // The kernel takes no port of another protocol.
    const length = writeSocketAddress(this.#memory, 0, { ...to, port: 0 });
    orThrow("sendto", libc().sendto(this.#socket, address + SOCKET_ADDRESS_ROOM, whole.length, 0, address, length));
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.#socket);
    this.#memory.release();
  }
}

/** As `struct sockaddr_ll` has them. */
const SOCKADDR_LL = { size: 20, index: 4, addressLength: 11, address: 12 };

/** Frames from one interface to another's address. */
export class RawLink implements Disposable {
  readonly #socket = orThrow("socket", libc().socket(AF_PACKET, SOCK_RAW, 0));
  readonly #memory = new NativeMemory("raw frame", SOCKET_ADDRESS_ROOM + 2_048);
  readonly #addresses: Buffer;

  constructor(index: number, from: string, to: string) {
    const [source, destination] = [from, to].map((mac) => Buffer.from(mac.replaceAll(":", ""), "hex")) as [
      Buffer,
      Buffer,
    ];
    this.#addresses = Buffer.concat([destination, source]);
    const { bytes, u32 } = this.#memory;
    bytes[0] = AF_PACKET;
    u32[SOCKADDR_LL.index >> 2] = index;
    bytes[SOCKADDR_LL.addressLength] = 6;
    bytes.set(destination, SOCKADDR_LL.address);
  }

  /** `tag`: priority and VLAN, of IEEE 802.1Q; undefined: none. */
  send(tag: number | undefined, packet: Uint8Array): void {
    const { address, bytes } = this.#memory;
    const type = tag === undefined ? [] : [0x81, 0x00, tag >> 8, tag & 255];
    const frame = Buffer.concat([this.#addresses, Buffer.of(...type, 0x86, 0xdd), packet]);
    bytes.set(frame, SOCKET_ADDRESS_ROOM);
    const at = address + SOCKET_ADDRESS_ROOM;
    orThrow("sendto", libc().sendto(this.#socket, at, frame.length, 0, address, SOCKADDR_LL.size));
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.#socket);
    this.#memory.release();
  }
}
