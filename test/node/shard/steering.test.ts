/** Which shard a client comes to: always the same, and each gets its part. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { after, describe, test } from "node:test";
import { type Address, formatIp } from "../../../src/core/base/address.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { UdpGroup } from "../../../src/node/shard/udp-group.ts";
import { SOCKADDR_IN } from "../../../src/node/sys/layout.ts";
import { libc } from "../../../src/node/sys/libc.ts";
import { NativeMemory } from "../../../src/node/sys/native-memory.ts";
import { writeSocketAddress } from "../../../src/node/sys/socket-address.ts";
import { closeDescriptor, openUdpSocket } from "../../../src/node/sys/udp-socket.ts";
import { requireForeign, requireIpv6, requirePrivilege } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import { Recorder } from "../datapath/compliance.ts";
import { chains, RawIpv6 } from "../datapath/raw-ipv6.ts";
import { at } from "../host-under-test.ts";

const request = Buffer.from("000100002112a442000000000000000000000001", "hex");
const media = Buffer.from("4000000401020304", "hex");
const sources = 4096;
const atOnce = 64;

/** What each shard hears on one listener. */
class Shards implements AsyncDisposable {
  readonly group: UdpGroup;
  readonly heard: readonly Recorder[];
  readonly #datapaths: readonly MmsgDatapath[];

  constructor(ip: string, count: number) {
    this.group = new UdpGroup(at(ip), count);
    this.heard = this.group.pairs.map(() => new Recorder());
    this.#datapaths = this.group.pairs.map((pair) => new MmsgDatapath({ inherited: () => pair }));
    for (const [i, datapath] of this.#datapaths.entries()) {
      datapath.bind(this.group.address, "turn-listener", this.heard[i] as Recorder);
    }
  }

  get count(): number {
    return this.heard.reduce((sum, { datagrams }) => sum + datagrams.length, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const datapath of this.#datapaths) await datapath.close();
    this.group.close();
  }
}

async function bound(ip: string): Promise<Socket> {
  const socket = createSocket(ip.includes(":") ? "udp6" : "udp4");
  socket.bind(0, ip);
  await once(socket, "listening");
  return socket;
}

/** Of 127.0.0.0/8 every address is ours, of IPv6 one. */
function sourceOf(family: 4 | 6, i: number): string {
  return family === 6 ? "::1" : `127.0.${i >> 8}.${i & 255 || 1}`;
}

for (const count of [2, 4]) {
  for (const ip of ["127.0.0.1", "::1"]) {
    const family = ip === "::1" ? 6 : 4;
    const skip = requireForeign() || (family === 6 && requireIpv6());
    test(`${sources} sources of IPv${family} over ${count} shards`, { skip, timeout: 120_000 }, async () => {
      await using shards = new Shards(ip, count);
      const { address } = shards.group;
      const parts = new Array<number>(count).fill(0);
      for (let i = 0; i < sources; i += atOnce) {
        const ips = Array.from({ length: atOnce }, (_, j) => sourceOf(family, i + j));
        const sockets = await Promise.all(ips.map(bound));
        // What is a request, and what is not, and a request again.
        for (const what of [request, media, request]) {
          for (const socket of sockets) socket.send(what, address.port, formatIp(address));
        }
        await until("what was sent", () => shards.count === 3 * atOnce);
        const byShard = shards.heard.map(({ datagrams }) => Map.groupBy(datagrams, ({ from }) => from));
        for (const [shard, clients] of byShard.entries()) {
          parts[shard] = (parts[shard] as number) + clients.size;
          for (const [client, datagrams] of clients) {
            const three = datagrams.map(({ data }) => data.length).sort((a, b) => a - b);
            assert.deepEqual(
              three,
              [media.length, request.length, request.length],
              `all of ${client} came to one shard`,
            );
          }
        }
        for (const { datagrams } of shards.heard) datagrams.length = 0;
        for (const socket of sockets) socket.close();
      }
      assert.equal(
        parts.reduce((a, b) => a + b),
        sources,
      );
      for (const part of parts) assert.ok(Math.abs(part / sources - 1 / count) < 0.06, `${parts} is about even`);
    });
  }
}

describe("a client that sends IP options", { skip: requireForeign() }, () => {
  const scratch = new NativeMemory("options of a test", 32);
  after(() => scratch.release());

  test("comes to the same shard with them and without", async () => {
    await using shards = new Shards("127.0.0.1", 4);
    const { address } = shards.group;
    for (let i = 0; i < 64; i++) {
      const socket = openUdpSocket(at("127.0.0.1"));
      const send = (): void => {
        scratch.bytes.set(media, SOCKADDR_IN.size);
        const length = writeSocketAddress(scratch, 0, address as Address);
        assert.equal(
          libc().sendto(socket, scratch.address + SOCKADDR_IN.size, media.length, 0, scratch.address, length),
          media.length,
        );
      };
      send();
      // Four times "no operation": IP_OPTIONS of IPPROTO_IP.
      scratch.u32[7] = 0x01010101;
      assert.equal(libc().setsockopt(socket, 0, 4, scratch.address + 28, 4), 0);
      send();
      await until("both", () => shards.count === 2);
      assert.ok(shards.heard.some(({ datagrams }) => datagrams.length === 2));
      for (const { datagrams } of shards.heard) datagrams.length = 0;
      closeDescriptor(socket);
    }
  });
});

describe("a client that sends extension headers of IPv6", {
  skip: requireForeign() || requireIpv6() || requirePrivilege("net-raw"),
}, () => {
  test("comes to the same shard with them and without, with requests and with media", async () => {
    await using shards = new Shards("::1", 4);
    using raw = new RawIpv6();
    const { address } = shards.group;
    for (let i = 0; i < 64; i++) {
      const socket = (await bound("::1")).unref();
      const from = at("::1", socket.address().port);
      socket.send(request, address.port, "::1");
      for (const what of [request, media]) for (const chain of chains) raw.send(from, address, chain, what);
      await until("all", () => shards.count === 1 + 2 * chains.length);
      const clients = shards.heard.filter(({ datagrams }) => datagrams.length > 0);
      assert.equal(clients.length, 1, `${shards.heard.map(({ datagrams }) => datagrams.length)}`);
      assert.equal(new Set(clients[0]?.datagrams.map((one) => one.from)).size, 1);
      for (const { datagrams } of shards.heard) datagrams.length = 0;
      socket.close();
    }
  });
});
