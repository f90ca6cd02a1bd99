/** The path that packets took, from what hosts and gateways counted. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { conversationsOf, type Path, pathsOf } from "../../src/lab/report/path.ts";
import type { Result } from "../../src/lab/scenario.ts";
import type { Topology } from "../../src/lab/topology.ts";
import { Counted, homeAndOffice, resultOf, site, symmetricCall } from "./report-results.ts";

function path(result: Result, from: string, to: string, index = 0): Path {
  const found = pathsOf(result).filter((one) => one.from === from && one.to === to)[index];
  assert.ok(found, `no path from ${from} to ${to}`);
  return found;
}

function nodes({ stops }: Path): string[] {
  return stops.map(({ node }) => node);
}

const oneHome: Topology = { outside: ["server", "bob"], sites: [site("home", ["alice", "anna"])] };

suite("The path that packets took", () => {
  test("leads through a NAT, with the address that it gave", () => {
    const counted = new Counted().exchange(
      5,
      ["alice", "10.0.1.2:4000", "203.0.113.61:7000"],
      ["home router", "203.0.113.11:4100", "203.0.113.61:7000"],
      ["bob"],
    );
    const result = resultOf(oneHome, counted);
    const there = path(result, "alice", "bob");
    assert.deepEqual(nodes(there), ["alice", "home router", "bob"]);
    assert.deepEqual(there.stops[1]?.sources, ["203.0.113.11:4100"]);
    assert.deepEqual([there.sent, there.received, there.purpose], [5, 5, "call"]);
    const back = path(result, "bob", "alice");
    assert.deepEqual(nodes(back), ["bob", "home router", "alice"]);
    assert.deepEqual(back.stops[1]?.destinations, ["10.0.1.2:4000"]);
    assert.equal(conversationsOf(pathsOf(result)).length, 1);
  });

  test("ends at the gateways of a call through a symmetric NAT, and still names whom it was for", () => {
    const result = symmetricCall();
    const [there, back] = [path(result, "alice", "bob"), path(result, "bob", "alice")];
    assert.deepEqual(nodes(there), ["alice", "home router", "office router"]);
    assert.deepEqual(
      there.stops.map(({ dropped }) => dropped),
      [0, 0, 15],
    );
    assert.deepEqual(nodes(back), ["bob", "office router", "home router"]);
    assert.deepEqual([back.stops[2]?.dropped, back.received], [15, 0]);
    const [call, ...control] = conversationsOf(pathsOf(result));
    assert.deepEqual(
      [call?.there, call?.back].map((one) => one?.purpose),
      ["call", "call"],
    );
    assert.deepEqual(
      control.map(({ purpose }) => purpose),
      ["control", "control"],
    );
  });

  test("goes astray where nobody has the address", () => {
    const counted = new Counted().send(5, ["bob", "203.0.113.61:7000", "10.0.1.2:4000"]);
    const astray = path(resultOf(oneHome, counted), "bob", "alice");
    assert.deepEqual(nodes(astray), ["bob"]);
    assert.deepEqual([astray.sent, astray.received, astray.stops[0]?.vanished], [5, 0, 5]);
  });

  test("tells how many of its packets a gateway kept, and how many the way", () => {
    const counted = new Counted().send(
      [10, 7],
      ["alice", "10.0.1.2:4000", "203.0.113.61:7000"],
      ["home router", "203.0.113.11:4000", "203.0.113.61:7000"],
      ["bob"],
    );
    const bobs = counted.passages.get("bob")?.[0];
    counted.passages.set("bob", [{ ...bobs!, packets: 6 }]);
    const { stops, sent, received } = path(resultOf(oneHome, counted), "alice", "bob");
    assert.deepEqual(
      stops.map(({ dropped, vanished }) => [dropped, vanished]),
      [
        [0, 0],
        [3, 1],
        [0, 0],
      ],
    );
    assert.deepEqual([sent, received], [10, 6]);
  });

  const stun = "203.0.113.1:3478";
  const [first, second] = ["10.0.1.2:1111", "10.0.1.3:2222"];
  const [mapped, other] = ["203.0.113.11:9001", "203.0.113.11:9002"];

  test("tells two sockets apart by what came back, where their counts are the same", () => {
    const counted = new Counted()
      .send(1, ["alice", first, stun], ["home router"])
      .exchange(1, ["anna", second, stun], ["home router", other, stun], ["server"])
      .send(1, ["home router", mapped, stun], ["server"])
      .send(4, ["bob", "203.0.113.61:7000", other], ["home router"]);
    const result = resultOf(oneHome, counted);
    assert.deepEqual(path(result, "alice", "server").stops[1]?.sources, [mapped]);
    assert.equal(path(result, "bob", "anna").stops.at(-1)?.dropped, 4);
  });

  test("tells two sockets apart by their counts, where nothing came back", () => {
    const counted = new Counted()
      .send(3, ["alice", first, stun], ["home router"])
      .send(5, ["anna", second, stun], ["home router", other, stun], ["server"])
      .send(3, ["home router", mapped, stun], ["server"]);
    const result = resultOf(oneHome, counted);
    assert.deepEqual(path(result, "alice", "server").stops[1]?.sources, [mapped]);
    assert.deepEqual(path(result, "anna", "server").stops[1]?.sources, [other]);
  });

  test("leads through a NAT behind a NAT", () => {
    const two = site("home", ["alice"], { nat: "port-restricted cone" }, { nat: "full cone" });
    const to = "203.0.113.61:7000";
    const counted = new Counted()
      .exchange(
        8,
        ["alice", "10.0.1.2:4000", to],
        ["home router 1", "100.64.11.2:4001", to],
        ["home router 2", "203.0.113.11:4002", to],
        ["bob"],
      )
      .send(3, ["server", "203.0.113.1:50000", "203.0.113.11:4002"], ["home router 2"]);
    const result = resultOf({ outside: ["server", "bob"], sites: [two] }, counted);
    assert.deepEqual(nodes(path(result, "bob", "alice")), ["bob", "home router 2", "home router 1", "alice"]);
    assert.equal(path(result, "server", "alice").stops.at(-1)?.dropped, 3);
  });

  test("turns in a gateway that hairpins, and may lose both addresses there", () => {
    const counted = new Counted().send(
      6,
      ["alice", "10.0.1.2:4000", "203.0.113.11:5000"],
      ["home router", "203.0.113.11:4000", "10.0.1.3:5000"],
      ["anna"],
    );
    const turned = path(resultOf(oneHome, counted), "alice", "anna");
    assert.deepEqual(nodes(turned), ["alice", "home router", "anna"]);
    assert.equal(turned.received, 6);
  });

  test("leads straight to a neighbour", () => {
    const counted = new Counted().send(6, ["alice", "10.0.1.2:4000", "10.0.1.3:5000"], ["anna"]);
    assert.deepEqual(nodes(path(resultOf(oneHome, counted), "alice", "anna")), ["alice", "anna"]);
  });

  test("ends at a gateway when what is unasked for is for nobody behind it", () => {
    const counted = new Counted().send(2, ["bob", "203.0.113.61:1", "203.0.113.11:9999"], ["home router"]);
    const { stops, received } = path(resultOf(oneHome, counted), "bob", "home router");
    assert.deepEqual([stops[1]?.dropped, received], [2, 0]);
  });

  test("puts flows of one purpose together, though some end early", () => {
    const counted = new Counted();
    for (const port of [1, 2, 3]) {
      const last: readonly [string] = ["server"];
      const hops = [
        ["alice", `10.0.1.2:${port}`, "203.0.113.2:3479"],
        ["home router", `203.0.113.11:${port}`, "203.0.113.2:3479"],
      ] as const;
      if (port === 3) counted.send(1, hops[0], ["home router"]);
      else counted.send(1, ...hops, last);
    }
    const { flows, purpose, stops, received } = path(resultOf(oneHome, counted), "alice", "server");
    assert.deepEqual([flows, purpose, received], [3, "probe", 2]);
    assert.equal(stops[1]?.dropped, 1);
  });

  test("takes the server's second address for a relay like the first, where nobody asks all four of its places", () => {
    const toSecond = () => new Counted("tcp").send(1, ["alice", "10.0.1.2:4000", "203.0.113.2:443"], ["home router"]);
    assert.equal(path(resultOf(oneHome, toSecond()), "alice", "server").purpose, "control");
    const asked = toSecond().send(1, ["anna", "10.0.1.3:4000", "203.0.113.1:3479"], ["home router"]);
    assert.equal(path(resultOf(oneHome, asked), "alice", "server").purpose, "probe");
  });

  test("tells signaling from the call, and begins at a firewall that speaks in another's name", () => {
    const counted = new Counted("tcp")
      .send(1, ["alice", "10.0.1.2:4000", "203.0.113.1:443"], ["home router"])
      .send(1, ["home router", "203.0.113.1:443", "10.0.1.2:4000"], ["alice"])
      .send(1, ["anna", "10.0.1.3:5060", "203.0.113.61:5060"], ["home router"]);
    const result = resultOf(oneHome, counted);
    assert.equal(path(result, "home router", "alice").received, 1);
    assert.equal(path(result, "anna", "bob").purpose, "signaling");
  });

  test("knows a stranger's packets from the call's", () => {
    const topology: Topology = { outside: ["server", "stranger"], sites: [site("home", ["alice"])] };
    const counted = new Counted().send(2, ["stranger", "203.0.113.61:1", "203.0.113.1:3478"], ["server"]);
    assert.equal(path(resultOf(topology, counted), "stranger", "server").purpose, "uninvited");
  });

  test("follows thousands of flows in no time", { timeout: 10_000 }, () => {
    const counted = new Counted();
    for (let i = 0; i < 2_000; i++) {
      counted.exchange(
        1 + (i % 7),
        ["alice", `10.0.1.2:${10_000 + i}`, stun],
        ["home router", `203.0.113.11:${20_000 + ((i * 7) % 30_000)}`, stun],
        ["server"],
      );
    }
    const { flows, sent, received } = path(resultOf(oneHome, counted), "alice", "server");
    assert.deepEqual([flows, received], [2_000, sent]);
  });

  test("leaves out what a host says to itself", () => {
    const counted = new Counted().send(9, ["server", "127.0.0.1:1", "127.0.0.1:2"], ["server"]);
    assert.deepEqual(pathsOf(resultOf(homeAndOffice, counted)), []);
  });
});
