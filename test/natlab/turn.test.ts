/** Postern's TURN client reaches Postern's TURN server from behind strict firewalls, by whichever transport passes. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import { type NatBehavior, natBehavior } from "../../src/natlab/behavior.ts";
import { allOf, type Firewall, resetting } from "../../src/natlab/firewall/firewall.ts";
import { inspecting, onlyTls } from "../../src/natlab/firewall/inspection.ts";
import { onlyPorts, withoutUdp } from "../../src/natlab/firewall/port-rules.ts";
import { withoutServerNames } from "../../src/natlab/firewall/server-names.ts";
import type { LinkConditions } from "../../src/natlab/link.ts";
import { toAddress } from "../../src/natlab/surroundings.ts";
import { World } from "../../src/natlab/world.ts";
import { TurnClientHost, TurnServerHost } from "./turn-lab.ts";

/** The ways to the server: bare TCP and TLS on 443 are at two addresses. */
const ways = {
  "UDP 3478": ["udp", toAddress("9.9.9.1", 3478)],
  "TCP 3478": ["tcp", toAddress("9.9.9.1", 3478)],
  "TCP 443": ["tcp", toAddress("9.9.9.1", 443)],
  "TLS 443": ["tls", toAddress("9.9.9.2", 443)],
} as const;
type Way = keyof typeof ways;

interface Circumstances {
  readonly firewall?: Firewall;
  readonly nat?: Partial<NatBehavior>;
  readonly home?: Partial<LinkConditions>;
}

function lab(way: Way, { firewall, nat, home: conditions }: Circumstances) {
  const world = new World({ seed: 6 });
  const [internet, home] = [world.link("internet", { delay: 20 }), world.link("home", { delay: 1, ...conditions })];
  const gateway = world
    .gateway("gateway", { nat: natBehavior(nat), ...(firewall === undefined ? {} : { firewall }) })
    .outside(internet, "203.0.113.10")
    .inside(home, "192.168.1.1/24");
  const server = new TurnServerHost(world, world.host("server").attach(internet, "9.9.9.1", "9.9.9.2"));
  for (const [transport, at] of Object.values(ways)) {
    if (transport === "udp") server.serveUdp(at);
    else server.serveStreams(transport, at);
  }
  const peer = world.host("peer").attach(internet, "8.8.4.4").socket({ port: 9 });
  const heard: string[] = [];
  peer.onMessage = (data, from) => {
    heard.push(`${String.fromCharCode(...data)} from ${formatIp(from)}`);
    peer.send(data, from);
  };
  const [transport, address] = ways[way];
  const reallocation = { attempts: 2, firstDelay: 500, maxDelay: 1000 };
  const host = world.host("client").attach(home, "192.168.1.2");
  const client = new TurnClientHost(world, host, { transport, server: address, reallocation });
  /** Words to the peer and back, by a channel. */
  const converse = (text: string): void => {
    client.input(() => client.client.bind(peer.address, world.now));
    world.advance(5000);
    client.say(peer.address, text);
    world.advance(5000);
  };
  return { world, gateway, client, heard, peer, converse };
}

/** Whether a call gets through this way. */
function getsThrough(way: Way, firewall: Firewall | undefined): boolean {
  const { world, client, heard, converse } = lab(way, firewall === undefined ? {} : { firewall });
  world.advance(120_000);
  if (!client.client.isLive) {
    assert.match(client.log.at(-1) ?? "", /^ended: /, "it says why it gave up");
    return false;
  }
  converse("hello");
  assert.deepEqual([heard, client.heard], [["hello from 9.9.9.1"], ["hello from 8.8.4.4:9"]]);
  return true;
}

suite("RFC 8656 §3.1: by which way a call gets through", () => {
  const firewalls: readonly (readonly [string, () => Firewall | undefined, readonly Way[]])[] = [
    ["no firewall", () => undefined, ["UDP 3478", "TCP 3478", "TCP 443", "TLS 443"]],
    ["one that blocks UDP", () => withoutUdp, ["TCP 3478", "TCP 443", "TLS 443"]],
    ["one that passes only TCP 443", () => onlyPorts({ tcp: [443] }), ["TCP 443", "TLS 443"]],
    [
      "one that inspects, and drops STUN",
      () => allOf(onlyPorts({ tcp: [443] }), inspecting("stun", "sip", "rtp")),
      ["TLS 443"],
    ],
    ["one that inspects, and resets", () => resetting(inspecting("stun")), ["TLS 443"]],
    ["one that passes nothing but TLS", () => allOf(withoutUdp, onlyTls()), ["TLS 443"]],
    [
      "one that blocks the server by name",
      () => allOf(onlyTls(), withoutServerNames("turn.example.org")),
      ["UDP 3478"],
    ],
  ];
  for (const [name, firewall, passing] of firewalls) {
    test(name, () => {
      const through = (Object.keys(ways) as Way[]).filter((way) => getsThrough(way, firewall()));
      assert.deepEqual(through, passing);
    });
  }
});

for (const way of ["TCP 443", "TLS 443"] as const) {
  suite(way, () => {
    test("over a path that loses and reorders, everything said arrives in order", () => {
      const home = { loss: 0.1, reorder: 0.1, duplicate: 0.05, jitter: 10 };
      const { world, client, heard, peer } = lab(way, { home });
      world.advance(10_000);
      client.input(() => client.client.bind(peer.address, world.now));
      world.advance(10_000);
      const words = Array.from({ length: 50 }, (_, n) => `word ${n}`);
      for (const word of words) {
        client.say(peer.address, word);
        world.advance(20);
      }
      world.advance(30_000);
      assert.deepEqual(
        heard,
        words.map((word) => `${word} from 9.9.9.1`),
      );
      assert.deepEqual(
        client.heard,
        words.map((word) => `${word} from 8.8.4.4:9`),
      );
    });

    test("RFC 5382 REQ-5: a NAT that forgets after a minute of silence does not, for the client speaks", () => {
      const { world, client, converse } = lab(way, { nat: { tcpLifetime: 60_000 } });
      world.advance(3_600_000);
      assert.deepEqual(client.log, ["allocated"]);
      converse("an hour later");
      assert.deepEqual(client.heard, ["an hour later from 8.8.4.4:9"]);
    });

    for (const strayTcp of ["reset", "drop"] as const) {
      test(`a NAT that reboots and ${strayTcp}s: the allocation is lost, and replaced`, () => {
        const { world, gateway, client, converse } = lab(way, { nat: { strayTcp } });
        world.advance(10_000);
        gateway.reboot();
        world.advance(300_000);
        assert.deepEqual(
          client.log.map((line) => line.split(":")[0]),
          ["allocated", "lost", "allocated"],
        );
        converse("again");
        assert.deepEqual(client.heard, ["again from 8.8.4.4:9"]);
      });
    }
  });
}
