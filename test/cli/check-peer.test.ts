/** `postern check --peer`: two real processes behind real NATs, which meet, speak and say what came of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatCode, parseCode } from "../../src/core/rendezvous/code.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { Server } from "../../src/lab/server.ts";
import { skip } from "../lab/lab-world.ts";
import { peerPath, requirePeer } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { byCode, codeOf, lineOf, type Machine, networkOf, oneNetwork, startMachine } from "./peer-machines.ts";

/** Runs both to their end: the exit statuses, and the screens. */
async function both(alice: Machine, bob: Machine) {
  const codes = await Promise.all([alice.ended(), bob.ended()]);
  return { codes, alice: alice.screen(), bob: bob.screen(), all: `${alice.program.output}\n${bob.program.output}` };
}

async function meet(lab: Lab, login: ReturnType<Server["turn"]>, ...flags: readonly string[]) {
  await using alice = await startMachine(lab, "alice", byCode(login, "--peer", ...flags), login.credential);
  const code = await codeOf(alice);
  await using bob = await startMachine(lab, "bob", byCode(login, "--peer", code, ...flags), login.credential);
  return { code, ...(await both(alice, bob)) };
}

const stun = ["stun:203.0.113.1", "stun:203.0.113.2"];

// Each is three programs that start at once and then speak in real time.
describe("postern check --peer", { skip, concurrency: 2 }, () => {
  test("direct through two cone NATs: both screens show the same path from their side", async () => {
    await using lab = await networkOf(["port-restricted cone", "full cone"], { roundTrip: 20 });
    const server = await Server.start(lab);
    const { codes, alice, bob, code } = await meet(lab, server.turn());
    assert.deepEqual(codes, [0, 0], alice + bob);
    assert.match(alice, new RegExp(`--peer ${code}$`, "m"));
    for (const screen of [alice, bob]) {
      assert.match(screen, /^The two are connected directly\.$/m);
      assert.match(screen, /^ {2}speech +50 packets/m);
      assert.match(screen, /loss +\d[\d.]* % there, \d[\d.]* % back/);
      assert.match(screen, /│ {2}direct, \d+ ms there and back/);
      assert.doesNotMatch(screen, /^ {2}relay/m);
    }
    assert.match(alice, /this machine +10\.0\.1\.2:\d+\n.+│\n {2}NAT +203\.0\.113\.11:\d+ +port-restricted cone/);
    assert.match(alice, /NAT +203\.0\.113\.12:\d+ +full cone\n.+│\n {2}the other machine +10\.0\.2\.2:\d+/);
    const nats = (screen: string) => [...screen.matchAll(/NAT +(\S+)/g)].map(([, address]) => address);
    assert.deepEqual(nats(bob), nats(alice).reverse());
    await server.stop();
  });

  test("relayed for two symmetric NATs: it says why, and what would make it direct; JSON has all of it", async () => {
    await using lab = await networkOf(["symmetric, random", "symmetric, in sequence"]);
    const server = await Server.start(lab);
    const { codes, alice, bob } = await meet(lab, server.turn(), "--json");
    assert.deepEqual(codes, [0, 0], alice + bob);
    for (const screen of [alice, bob]) {
      const { outcome, reason, own, peer, speech, quality, advice, report } = JSON.parse(screen);
      assert.equal(outcome, "relayed");
      // On a busy machine one relay is late, and the other's path is used before.
      assert.match(reason.code, /^(better-failed|better-unanswered|moved-to-better|replaced-lost)$/);
      assert.equal(own.nat.kind, "symmetric");
      assert.equal(peer.nat.kind, "symmetric");
      assert.ok([own, peer].some(({ relay }) => /^203\.0\.113\.1:\d+$/.test(relay)));
      assert.equal(speech.sent, 50);
      assert.ok(speech.heardThere.packets > 40 && speech.heardHere.packets > 40);
      assert.equal(quality.level, "good");
      assert.match(advice[0], /the NATs of both ends are symmetric/);
      assert.match(advice[1], /full cone/);
      assert.match(report.local[0].address, /^10\.0\.\d\.2:\d+$/);
    }
    await server.stop();
  });

  test("pasted lines, two symmetric NATs, no relay: failed, and explained on the way and at the end", async () => {
    await using lab = await networkOf(["symmetric, random", "symmetric, random"]);
    const server = await Server.start(lab);
    const args = [...stun, "--peer", "--paste"];
    await using alice = await startMachine(lab, "alice", args);
    await using bob = await startMachine(lab, "bob", args);
    const lines = [await lineOf(alice), await lineOf(bob)] as const;
    alice.paste(`${lines[1]}\n`);
    bob.paste(`"${lines[0].slice(0, 60)}\r\n> ${lines[0].slice(60)}"\n`);
    await until("the likely cause", () => alice.screen().includes("No path yet. Probably: Both NATs"), {
      within: 60_000,
    });
    assert.doesNotMatch(alice.screen(), /cannot be connected/);
    const { codes, all, ...screens } = await both(alice, bob);
    assert.deepEqual(codes, [2, 2], all);
    for (const screen of [screens.alice, screens.bob]) {
      assert.match(screen, /^The two cannot be connected\.$/m);
      assert.match(screen, /✗ {2}nothing gets through/);
      assert.match(screen, /^A TURN server that one of the two can reach would carry the call\.$/m);
      assert.match(screen, /NAT +203\.0\.113\.1[12]:\d+ +symmetric/);
    }
    await server.stop();
  });

  test("pasted lines without any server, on one network", async () => {
    await using lab = await oneNetwork();
    await using alice = await startMachine(lab, "alice", ["--paste", "--duration", "1s"]);
    await using bob = await startMachine(lab, "bob", ["--peer", "--duration", "1s"]);
    const lines = [await lineOf(alice), await lineOf(bob)] as const;
    alice.paste(`${lines[1]}\n`);
    bob.paste(`${lines[0]}\n`);
    const { codes, alice: screen, bob: other, all } = await both(alice, bob);
    assert.deepEqual(codes, [0, 0], all);
    assert.match(screen, /^The two are connected directly\.$/m);
    assert.doesNotMatch(screen, /^ +NAT |There is no code/m);
    assert.match(other, /^There is no code without a TURN server and credentials/m);
  });

  test("UDP blocked at one end: they meet and speak through the relay over TCP, and both know why", async () => {
    await using lab = await networkOf(["full cone", "full cone"], { firewall: "UDP blocked" });
    const server = await Server.start(lab);
    const { codes, alice, bob } = await meet(lab, server.turn());
    assert.deepEqual(codes, [0, 0], alice + bob);
    assert.match(alice, /this machine +10\.0\.1\.2 +no UDP gets out/);
    assert.match(alice, /No direct path: this machine's network does not let UDP out/);
    assert.match(bob, /No direct path: the other machine's network does not let UDP out/);
    await server.stop();
  });

  test("they meet inside coturn too", { skip: requirePeer("turnserver") }, async () => {
    await using lab = await networkOf(["symmetric, random", "port-restricted cone"]);
    const coturn = await lab.network
      .at("server")
      .start([
        ...[peerPath("turnserver")!, "-n", "-L", "203.0.113.1", "-E", "203.0.113.1", "-r", "example.org"],
        ...[
          "--lt-cred-mech",
          "--user",
          "alice:wonderland",
          "--no-tls",
          "--no-dtls",
          "--no-cli",
          "--log-file",
          "stdout",
        ],
        ...["--pidfile", "/sys/kernel/pid", "--db", "/sys/kernel/db", "--relay-threads", "1"],
      ]);
    const login = { url: "turn:203.0.113.1", username: "alice", credential: "wonderland" };
    await until("coturn to listen", () => lab.network.at("server").run(["ss", "-Hlun", "sport = :3478"]), {
      within: 60_000,
    });
    const { codes, alice, all } = await meet(lab, login);
    assert.deepEqual(codes, [0, 0], all);
    assert.match(alice, /^The two are connected through the relay\.$/m);
    assert.match(alice, /^ {2}relay +203\.0\.113\.1:\d+$/m);
    await coturn.stop();
  });

  test("what is wrong with a code is told: mistyped, another server's, expired", async () => {
    await using lab = await networkOf(["full cone", "full cone"]);
    const server = await Server.start(lab);
    const login = server.turn();
    await using alice = await startMachine(lab, "alice", byCode(login, "--peer"), login.credential);
    const code = await codeOf(alice);
    const refusal = async (typed: string): Promise<string> => {
      await using bob = await startMachine(lab, "bob", byCode(login, "--peer", typed), login.credential);
      assert.equal(await bob.ended(), 1, bob.program.output);
      return bob.program.output;
    };
    const { address, secret } = parseCode(code)!;
    const last = code.at(-1) === "0" ? "1" : "0";
    assert.match(await refusal(`${code.slice(0, -1)}${last}`), /no code: it is mistyped/);
    assert.match(
      await refusal(formatCode({ address: { ...address, w3: address.w3 + 1 }, secret })),
      /for another server/,
    );
    const nobody = { ...address, port: address.port ^ 1 };
    assert.match(await refusal(formatCode({ address: nobody, secret })), /Nobody answers to this code: it has expired/);
    await using bob = await startMachine(
      lab,
      "bob",
      byCode(login, "--peer", code, "--duration", "5s"),
      login.credential,
    );
    const { codes, all } = await both(alice, bob);
    assert.deepEqual(codes, [0, 0], all);
    await server.stop();
  });

  test("Ctrl-C while waiting ends it at once, and leaves no allocation on the server", async () => {
    await using lab = await networkOf(["full cone", "full cone"]);
    const server = await Server.start(lab);
    const login = server.turn();
    const sockets = async () => (await lab.network.at("server").run(["ss", "-Hlun"])).trim().split("\n").length;
    const before = await sockets();
    await using alice = await startMachine(lab, "alice", byCode(login, "--peer"), login.credential);
    await codeOf(alice);
    // One to wait at, and ICE's over UDP and TCP.
    await until("all allocations", async () => (await sockets()) === before + 3);
    const { code } = await alice.program.stop("SIGINT");
    assert.equal(code, 130, alice.program.output);
    await until("the relayed addresses to be gone", async () => (await sockets()) === before);
    await server.stop();
  });
});
