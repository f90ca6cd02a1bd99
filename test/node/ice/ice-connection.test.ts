/** IceConnection on real sockets, with itself: directly, through Postern's relay, and where it is used wrongly. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { IceEvent } from "../../../src/core/ice/outputs.ts";
import { IceConnection } from "../../../src/node/ice/ice-connection.ts";
import type { IceServer } from "../../../src/node/ice/options.ts";
import { requirePeer } from "../../support/peers.ts";
import { freePort, freePortRange } from "../../support/ports.ts";
import { startPostern } from "../../support/postern.ts";
import type { RelayUnderTest } from "../../support/relay-under-test.ts";
import { until } from "../../support/until.ts";
import { introduce, onLoopback, openTwo, says } from "./two.ts";

const failsWith = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

suite("without servers", () => {
  test("two strings make a path that carries data both ways, and says why it was chosen", async () => {
    await using two = await openTwo();
    const { alice, bob } = two;
    const events: IceEvent[] = [];
    alice.onEvent = (event) => events.push(event);
    await introduce(two);
    const [path] = await Promise.all([alice.connected(), bob.connected()]);
    assert.equal(path.kind, "direct");
    await says(alice, bob, "hello");
    await says(bob, alice, "hello back");
    const reasons = events.flatMap((event) => (event.type === "selected" ? [event.reason.code] : []));
    assert.ok(reasons.includes("best-of-all"), reasons.join());
    assert.equal(alice.path()?.remote.address.port, path.remote.address.port);
  });

  test("candidates are told one by one, with an end", async () => {
    await using two = await openTwo();
    const { alice, bob } = two;
    const lines: string[] = [];
    const end = Promise.withResolvers<void>();
    // What was found until now stands in the description already; again it is nothing new.
    alice.onCandidate = (line) => {
      lines.push(line);
      bob.addRemoteCandidate(line);
      if (line === "end-of-candidates") end.resolve();
    };
    alice.setRemoteDescription(await bob.localDescription());
    alice.restart();
    const partial = await alice.localDescription({ trickle: true });
    bob.setRemoteDescription(partial.replaceAll(/a=candidate.*\r\n/g, ""));
    alice.setRemoteDescription(await bob.localDescription());
    await end.promise;
    assert.match(lines[0] ?? "", /^candidate:\S+ 1 udp \d+ \S+ \d+ typ host ufrag \S+$/);
    await Promise.all([alice.connected(), bob.connected()]);
  });

  test("two agents that both think that they are controlling agree", async () => {
    await using two = await openTwo({}, { role: "controlling" });
    await introduce(two);
    await Promise.all([two.alice.connected(), two.bob.connected()]);
    await until("one to give way", () => two.alice.role !== two.bob.role);
  });

  test("each of two components has a path", async () => {
    await using two = await openTwo({ components: 2 });
    await introduce(two);
    await Promise.all([two.alice.connected(), two.bob.connected()]);
    await says(two.alice, two.bob, "media", 1);
    await says(two.alice, two.bob, "control", 2);
  });

  test("a restart makes a new path, and no packet is lost meanwhile", async () => {
    await using two = await openTwo();
    const { alice, bob } = two;
    await introduce(two);
    await Promise.all([alice.connected(), bob.connected()]);
    await says(alice, bob, "first");
    const before = await alice.localDescription();
    let [sent, heard, selected] = [0, 0, 0];
    bob.onData = (data) => (heard += String(data) === "media" ? 1 : 0);
    alice.onEvent = ({ type }) => (selected += type === "selected" ? 1 : 0);
    const talk = setInterval(() => (sent += alice.send(Buffer.from("media")) ? 1 : 0), 2);
    try {
      alice.restart();
      const after = await alice.localDescription();
      assert.notEqual(after, before);
      bob.setRemoteDescription(after);
      alice.setRemoteDescription(await bob.localDescription());
      await until("another path", () => selected > 0);
      const enough = sent + 20;
      await until("more to be sent", () => sent >= enough);
    } finally {
      clearInterval(talk);
    }
    await until("all to come", () => heard === sent);
  });

  test("where no check is answered, `connected` rejects with the reason's code", async () => {
    await using two = await openTwo();
    const silent = (await two.bob.localDescription()).replaceAll(/a=candidate.*\r\n/g, "");
    two.alice.setRemoteDescription(silent);
    await assert.rejects(two.alice.connected({ signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
  });
});

suite("misuse", () => {
  const refused: readonly (readonly [string, Parameters<typeof IceConnection.open>[0]])[] = [
    ["bad-uri", { iceServers: [{ urls: "http://example.org" }] }],
    ["bad-credentials", { iceServers: [{ urls: "turn:192.0.2.1" }] }],
    ["transport-not-supported", { iceServers: [{ urls: "stuns:192.0.2.1" }] }],
    [
      "transport-not-supported",
      { iceServers: [{ urls: "turns:192.0.2.1?transport=udp", username: "a", credential: "b" }] },
    ],
    ["bad-components", { components: 0 }],
  ];
  for (const [code, options] of refused) {
    test(`${JSON.stringify(options)} is refused: ${code}`, async () => {
      await assert.rejects(IceConnection.open(options), failsWith(code));
    });
  }

  test("a text that is no description is refused; a candidate that is none is ignored", async () => {
    await using connection = await IceConnection.open(onLoopback);
    assert.throws(() => connection.setRemoteDescription("hello"), failsWith("bad-ice-description"));
    connection.addRemoteCandidate("candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active");
    connection.addRemoteCandidate("anything");
    assert.equal(connection.send(Buffer.from("too early")), false);
  });

  test("a connection that is closed says so, and closes once", async () => {
    const connection = await IceConnection.open(onLoopback);
    const waiting = assert.rejects(connection.connected(), failsWith("closed"));
    await Promise.all([connection.close(), connection.close()]);
    await waiting;
    assert.throws(() => connection.restart(), failsWith("closed"));
    assert.throws(() => connection.addRemoteCandidate("end-of-candidates"), failsWith("closed"));
    await assert.rejects(connection.localDescription(), failsWith("closed"));
    assert.equal(connection.send(Buffer.from("too late")), false);
    assert.equal(connection.state, "closed");
  });

  test("a signal ends what waits, with its reason", async () => {
    const reason = new Error("enough");
    await assert.rejects(IceConnection.open({ signal: AbortSignal.abort(reason) }), reason);
    await using connection = await IceConnection.open(onLoopback);
    await assert.rejects(connection.connected({ signal: AbortSignal.abort(reason) }), reason);
  });
});

suite("through Postern's relay", { skip: requirePeer("openssl") }, () => {
  const user = { name: "alice", password: "wonderland" };
  let relay: RelayUnderTest;
  let port: number;
  before(async () => {
    port = await freePort();
    relay = await startPostern({ port, user, relayPorts: await freePortRange(64), allowPeers: ["127.0.0.0/8"] });
  });
  after(() => relay.stop());

  const servers = (query = "", credential = user.password): IceServer[] => [
    { urls: [`turn:127.0.0.1:${port}${query}`], username: user.name, credential },
  ];

  for (const query of ["?transport=udp", "?transport=tcp"]) {
    test(`both relay-only, ${query}: nothing else is told, and data goes both ways`, async () => {
      await using two = await openTwo({ policy: "relay", iceServers: servers(query) });
      const { alice, bob } = two;
      const description = await alice.localDescription();
      assert.match(description, / typ relay /);
      assert.doesNotMatch(description, / typ (host|srflx)/);
      await introduce(two);
      const [path] = await Promise.all([alice.connected(), bob.connected()]);
      assert.equal(path.kind, "relayed");
      await says(alice, bob, "hello");
      await says(bob, alice, "hello back");
    });
  }

  test("one relay-only and one not", async () => {
    await using two = await openTwo({ policy: "relay", iceServers: servers() }, { iceServers: servers() });
    await introduce(two);
    assert.equal((await two.alice.connected()).kind, "relayed");
    await says(two.bob, two.alice, "hello");
    await says(two.alice, two.bob, "hello back");
  });

  test("where there is a direct path, the relay is not used", async () => {
    await using two = await openTwo({ iceServers: servers() });
    await introduce(two);
    assert.equal((await two.alice.connected()).kind, "direct");
  });

  test("a wrong password is in the report, and nothing waits for it", async () => {
    await using connection = await IceConnection.open({
      ...onLoopback,
      iceServers: servers("", "wrong"),
    });
    assert.match(await connection.localDescription(), /end-of-candidates/);
    assert.match(connection.report.relayFailures.join(), /password|credential/i);
  });

  test("closing gives the allocations back", async () => {
    const two = await openTwo({ policy: "relay", iceServers: servers() });
    await Promise.all([two.alice.localDescription(), two.bob.localDescription()]);
    await two[Symbol.asyncDispose]();
    const again = await openTwo({ policy: "relay", iceServers: servers() });
    await again[Symbol.asyncDispose]();
  });
});
