/** ICMP reaches the client, where the datapath is `mmsg`: the kernel answers for ports at which nobody is. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Address, blankAddress, copyAddress, formatAddress } from "../../../src/core/base/address.ts";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { StunView } from "../../../src/core/stun/view.ts";
import type { IcmpError } from "../../../src/core/turn/icmp.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { TurnAllocation } from "../../../src/node/turn-client/index.ts";
import { requireForeign, requireIpv6 } from "../../support/peers.ts";
import { freePort } from "../../support/ports.ts";
import { TurnClient } from "../../support/turn-client.ts";
import { until } from "../../support/until.ts";
import { alice, at, HostUnderTest, LoopbackPeer } from "../host-under-test.ts";
import { Recorder } from "./compliance.ts";

class Hearing extends Recorder {
  readonly errors: string[] = [];

  handleIcmp(to: Readonly<Address>, { type, code, mtu }: IcmpError): void {
    this.errors.push(`${formatAddress(to)} ${type}/${code} ${mtu}`);
  }
}

for (const [ip, port, skip] of [
  ["127.0.0.1", "3/3", requireForeign()],
  ["::1", "1/4", requireForeign() || requireIpv6()],
] as const) {
  describe(`at ${ip}`, { skip }, () => {
    test("a sink hears where nobody is, and what it sends elsewhere arrives", async () => {
      const datapath = new MmsgDatapath();
      await using held = new AsyncDisposableStack();
      held.adopt(datapath, (closing) => closing.close());
      const sink = new Hearing();
      const socket = datapath.bind(at(ip), "relay", sink);
      await until("the socket to open", () => sink.address);
      const peer = held.use(await LoopbackPeer.open(ip));
      const nowhere = at(ip, await freePort());
      const sent = 100;
      for (let i = 0; i < sent; i++) {
        // Each alone, so that the one meets the error of the other.
        datapath.send(socket, Buffer.from(`${i}`), 0, 2, nowhere);
        await Promise.resolve();
        datapath.send(socket, Buffer.from(`${i} `), 0, 2, peer.address);
        await Promise.resolve();
        datapath.sendChannelData(socket, 0x4000, Buffer.alloc(10), 0, 10, peer.address);
        datapath.sendChannelData(socket, 0x4000, Buffer.alloc(10), 0, 10, peer.address);
        await Promise.resolve();
      }
      await until("what was sent elsewhere", () => peer.received.length === 3 * sent);
      assert.equal(datapath.stats.socketErrors, 0);
      await until("an ICMP message", () => sink.errors.length > 0);
      assert.deepEqual([...new Set(sink.errors)], [`${formatAddress(nowhere)} ${port} 0`]);
      peer.send(Buffer.from("x"), sink.address as Address);
      await until("an answer", () => sink.datagrams.length === 1);
    });

    test("a sink that throws or releases meanwhile harms nobody", async () => {
      const datapath = new MmsgDatapath();
      await using held = new AsyncDisposableStack();
      held.adopt(datapath, (closing) => closing.close());
      const sink = new Hearing();
      sink.handleIcmp = () => datapath.release(socket);
      const socket = datapath.bind(at(ip), "relay", sink);
      await until("the socket to open", () => sink.address);
      const nowhere = at(ip, await freePort());
      for (let i = 0; i < 5; i++) datapath.send(socket, Buffer.alloc(9), 0, 9, nowhere);
      await until("the release", () => datapath.stats.sockets === 0);
    });

    test("RFC 8656 §11.5: a client hears that nobody is at its peer's port", async () => {
      const datapath = new MmsgDatapath();
      const loopback = at(ip);
      await using t = await HostUnderTest.create({ datapath }, { relays: [{ bound: loopback, advertised: loopback }] });
      const { address } = await t.host.listen({ transport: "udp", address: loopback });
      const heard: string[] = [];
      await using client = await TurnClient.connect({
        ...{ host: ip, port: address.port, ...alice },
        onFrame: (frame) => {
          const view = new StunView();
          if (view.decode(frame) !== undefined || view.class !== MessageClass.Indication) return false;
          const peer = blankAddress();
          view.xorAddressAt(view.indexOf(Attribute.XorPeerAddress), peer);
          const icmp = Buffer.from(view.bytes(Attribute.Icmp) ?? []).toString("hex");
          heard.push(`${formatAddress(copyAddress(peer))} ${icmp}`);
          return true;
        },
      });
      await client.allocate({ family: loopback.family });
      const nowhere = at(ip, await freePort());
      await client.permit(nowhere);
      await client.bindChannel(0x4000, nowhere);
      client.send(nowhere, Buffer.from("is anybody there?"));
      await until("an indication", () => heard.length === 1);
      client.sendOnChannel(0x4000, Buffer.from("is anybody there?"));
      await until("another", () => heard.length === 2);
      const icmp = ip === "::1" ? "0000020400000000" : "0000060300000000";
      assert.deepEqual(heard, [`${formatAddress(nowhere)} ${icmp}`, `${formatAddress(nowhere)} ${icmp}`]);
    });

    test("RFC 8656 §11.6: postern/turn-client tells of it, with a permission and on a channel", async () => {
      const datapath = new MmsgDatapath();
      const loopback = at(ip);
      await using t = await HostUnderTest.create({ datapath }, { relays: [{ bound: loopback, advertised: loopback }] });
      const { address } = await t.host.listen({ transport: "udp", address: loopback });
      const heard: string[] = [];
      await using relay = await TurnAllocation.open({
        url: `turn:${formatAddress(address)}`,
        ...{ username: alice.username, credential: alice.password },
        families: loopback.family === 4 ? "ipv4" : "ipv6",
        onEvent: (event) => {
          if (event.type !== "peer-error") return;
          const { type, code, mtu } = event.icmp;
          heard.push(`${formatAddress(event.peer)} ${type}/${code} ${mtu}`);
        },
      });
      const nowhere = formatAddress(at(ip, await freePort()));
      await relay.permit(nowhere);
      assert.ok(relay.send(nowhere, Buffer.from("is anybody there?")));
      await until("an event", () => heard.length === 1);
      await relay.bind(nowhere);
      assert.ok(relay.send(nowhere, Buffer.from("is anybody there?")));
      await until("another", () => heard.length === 2);
      assert.deepEqual(heard, Array(2).fill(`${nowhere} ${port} 0`));
    });
  });
}
