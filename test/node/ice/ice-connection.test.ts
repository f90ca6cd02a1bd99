/** IceConnection on real sockets, with itself: directly, through Postern's relay, and where it is used wrongly. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { IceEvent } from "../../../src/core/ice/outputs.ts";
import { IceConnection } from "../../../src/node/ice/ice-connection.ts";
import type { IceServer } from "../../../src/node/ice/options.ts";
import { requirePeer } from "../../support/peers.ts";
import { freePort, freePortRange } from "../../support/ports.ts";
import { startPostern } from "../../support/postern.ts";
import type { RelayUnderTest } from "../../support/relay-under-test.ts";
import { makeTestCertificates, type TestCertificates } from "../../support/test-ca.ts";
import { until } from "../../support/until.ts";
import { introduce, onLoopback, openTwo, says } from "./two.ts";

const failsWith = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

const execute = promisify(execFile);

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
});

suite("servers that are of no use", () => {
  test("a TURN server that is silent is waited for no longer than the budget", async () => {
    const silent = createSocket("udp4").bind(0, "127.0.0.1");
    await once(silent, "listening");
    const urls = `turn:127.0.0.1:${silent.address().port}?transport=udp`;
    const iceServers = [{ urls, username: "alice", credential: "wonderland" }];
    const began = performance.now();
    await using connection = await IceConnection.open({ ...onLoopback, iceServers, gatheringBudget: 200 });
    assert.match(await connection.localDescription(), /typ host(.|\s)*end-of-candidates/);
    const took = performance.now() - began;
    assert.ok(took >= 190 && took < 2_000, `${took} ms`);
    silent.close();
  });

  test("nor is the name of a STUN server that nobody knows", async () => {
    const began = performance.now();
    await using connection = await IceConnection.open({ ...onLoopback, iceServers: [{ urls: "stun:nobody.invalid" }] });
    assert.match(await connection.localDescription(), /end-of-candidates/);
    assert.ok(performance.now() - began < 3_000);
  });

  test("interfaces that may not be used are not, for relays neither", async () => {
    const iceServers = [{ urls: "turn:127.0.0.1:9", username: "alice", credential: "wonderland" }];
    await using connection = await IceConnection.open({ interfaces: ["none0"], iceServers });
    assert.doesNotMatch(await connection.localDescription(), /candidate:/);
    assert.match(connection.report.relayFailures.join(), /No interface that may be used/);
  });
});

test("who waits for a connection keeps the process, also where the connection has no socket", async () => {
  const module = new URL("../../../src/node/ice/index.ts", import.meta.url);
  const program = `
    import { IceConnection } from ${JSON.stringify(module.href)};
    const connection = await IceConnection.open({ policy: "relay" });
    setTimeout(() => connection.close(), 200).unref();
    await connection.connected().catch(({ code }) => console.log(code));`;
  const { stdout } = await execute(process.execPath, ["--input-type=module", "--eval", program]);
  assert.equal(stdout, "closed\n");
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

  test("a URL without a scheme is told all that there are", async () => {
    const opening = IceConnection.open({ iceServers: [{ urls: "192.0.2.1" }] });
    await assert.rejects(opening, /"192\.0\.2\.1" .* stun:, turn: or turns:/);
  });

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
  let tlsPort: number;
  let directory: string;
  let certificate: TestCertificates;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "postern-ice-"));
    certificate = await makeTestCertificates(directory);
    [port, tlsPort] = [await freePort(), await freePort()];
    const own = { port, tlsPort, certificate, user, relayPorts: await freePortRange(64) };
    relay = await startPostern({ ...own, allowPeers: ["127.0.0.0/8"] });
  });
  after(async () => {
    await relay?.stop();
    await rm(directory, { recursive: true });
  });

  const servers = (query = "", credential = user.password): IceServer[] => [
    { urls: [`turn:127.0.0.1:${port}${query}`], username: user.name, credential },
  ];

  for (const transport of ["udp", "tcp", "tls"]) {
    test(`both relay-only, over ${transport}: nothing else is told, and data goes both ways`, async () => {
      const secure = [{ urls: `turns:localhost:${tlsPort}`, username: user.name, credential: user.password }];
      const iceServers = transport === "tls" ? secure : servers(`?transport=${transport}`);
      const tls = { ca: await readFile(certificate.ca, "utf8") };
      await using two = await openTwo({ policy: "relay", iceServers, tls });
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
    const allocations = () => relay.metric("postern_turn_allocations");
    const two = await openTwo({ policy: "relay", iceServers: servers() });
    await Promise.all([two.alice.localDescription(), two.bob.localDescription()]);
    await until("two allocations", async () => (await allocations()) === 2);
    await two[Symbol.asyncDispose]();
    assert.equal(await allocations(), 0);
  });
});

test("a relay that was lost and comes back carries on, from another relayed address", {
  skip: requirePeer("openssl"),
}, async () => {
  const user = { name: "alice", password: "wonderland" };
  const [port, relayPorts] = [await freePort(), await freePortRange(64)];
  // A relay sends to no address of its own.
  const options = { port, user, relayPorts, addresses: ["127.0.0.3"], allowPeers: ["127.0.0.0/8"] };
  let relay = await startPostern(options);
  try {
    const urls = `turn:127.0.0.3:${port}?transport=tcp`;
    const iceServers = [{ urls, username: user.name, credential: user.password }];
    await using two = await openTwo({ policy: "relay", iceServers }, {});
    const { alice, bob } = two;
    await introduce(two);
    await Promise.all([alice.connected(), bob.connected()]);
    const states: string[] = [];
    alice.onEvent = (event) => void (event.type === "state" && states.push(event.state));
    await relay.stop("SIGKILL");
    relay = await startPostern(options);
    await until("another path", () => bob.path()?.remote.type === "prflx", { within: 60_000 });
    await says(alice, bob, "still here");
    await says(bob, alice, "here too");
    assert.ok(!states.includes("failed"), states.join());
  } finally {
    await relay.stop();
  }
});
