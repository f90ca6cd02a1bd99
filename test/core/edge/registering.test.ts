import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createRequest } from "../../../src/core/sip/message/build.ts";
import { at, EDGE, Phone, World } from "./world.ts";

suite("a phone registers", () => {
  test("with its password, at the flow that it really comes by", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
    const response = alice.register();
    assert.equal(response.status, 200);
    assert.deepEqual(
      alice.responses.map(({ status }) => status),
      [401, 200],
    );
    assert.deepEqual(response.list("contact"), [`<${alice.contact}>;expires=300`]);
    assert.equal(response.via.params.get("received"), "198.51.100.7");
    assert.equal(response.via.params.get("rport"), "40000");
    const [binding] = world.edge.bindings();
    assert.equal(binding?.flow.remote.port, 40_000);
    assert.deepEqual(world.told("binding"), ["registered"]);
  });

  test("with a wrong password, or as nobody, not: both are answered alike, and then met with silence", () => {
    for (const user of ["alice", "nobody"]) {
      const world = new World();
      const mallory = new Phone(world, user, { outside: "198.51.100.66" });
      mallory.send(mallory.registration());
      const again = mallory.registration();
      again.headers.set("Authorization", mallory.authorize(again, "guess"));
      mallory.send(again);
      assert.deepEqual(
        mallory.responses.map(({ status }) => status),
        [401, 401],
        user,
      );
      for (let i = 0; i < 20; i++) {
        const guess = mallory.registration();
        guess.headers.set("Authorization", mallory.authorize(guess, `guess ${i}`));
        mallory.send(guess);
      }
      const told = world.events.filter((event) => event.type === "wrong-password");
      assert.equal(told.length, 21);
      assert.deepEqual([told[0]?.user, told[0]?.method], [user, "REGISTER"]);
      assert.equal(mallory.responses.length, 11, "ten wrong passwords, and then no more");
      assert.deepEqual([...world.edge.bindings()], []);
      // An honest phone behind the same address is let in all the same.
      assert.equal(new Phone(world, "bob", { outside: "198.51.100.66", port: 40_001 }).register().status, 200);
    }
  });

  test("not for another user", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
    const request = alice.registration();
    for (const name of ["From", "To"])
      request.headers.set(name, "<sip:bob@example.org>;tag=x".replace(name === "To" ? ";tag=x" : "", ""));
    assert.equal(alice.ask(request).status, 403);
    assert.deepEqual([...world.edge.bindings()], []);
  });

  test("what was overheard does not register anybody from elsewhere, nor again", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
    alice.send(alice.registration());
    const right = alice.registration();
    right.headers.set("Authorization", alice.authorize(right));
    alice.send(right);
    assert.equal(alice.response.status, 200);
    const mallory = new Phone(world, "alice", { outside: "198.51.100.66" });
    for (const thief of [mallory, alice]) {
      const copy = right.copy();
      copy.removeTopVia();
      copy.prependVia("SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKcopied;rport");
      copy.headers.set("Contact", "<sip:alice@198.51.100.66>");
      thief.send(copy);
      assert.equal(thief.response.status, 401);
    }
    assert.equal([...world.edge.bindings()].length, 1);
  });

  test("a connection of a phone that has registered may stay, and its end is told", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7", transport: "tls" });
    alice.register();
    assert.deepEqual(world.settled, [alice.flow.connection]);
    world.edge.handleConnectionClosed(alice.flow.connection, world.now);
    world.settle();
    assert.deepEqual(world.told("binding"), ["registered", "flow-lost"]);
  });

  test("it is probed where it is, and its NAT stays open for ten minutes of silence; without answers that is told", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
    alice.register([["Expires", "600"]]);
    let last = world.now;
    let longest = 0;
    const receive = alice.receive.bind(alice);
    alice.receive = (text) => {
      longest = Math.max(longest, world.now - last);
      last = world.now;
      receive(text);
    };
    world.pass(599_000);
    assert.ok(longest <= 25_000 && longest >= 20_000, `${longest}`);
    assert.deepEqual(world.told("binding"), ["registered"]);
    alice.register([["Expires", "600"]]);
    alice.answersProbes = false;
    world.pass(150_000);
    assert.ok(world.told("binding").includes("unanswered"));
  });
});

test("RFC 3261 §16.6: headers in a Contact are kept for its phone, and are in no Request-URI", () => {
  const world = new World();
  const [alice, bob] = ["alice", "bob"].map((user, n) => new Phone(world, user, { outside: `192.0.2.${n + 1}` })) as [
    Phone,
    Phone,
  ];
  alice.register();
  const registration = bob.registration();
  const contact = "sip:b?b@10.0.0.2;ob?Route=%3Csip:elsewhere.example.net%3E";
  registration.headers.set("Contact", `<${contact}>`);
  assert.match(bob.ask(registration).header("contact") ?? "", /^<sip:b\?b@10\.0\.0\.2;ob\?Route=[^>]+>/);
  alice.ask(alice.invitation("bob"));
  assert.equal(bob.request("INVITE").uriText, "sip:b?b@10.0.0.2;ob");
});

suite("strangers", () => {
  test("who only look whether somebody is there hear nothing", () => {
    const world = new World();
    const stranger = new Phone(world, "100", { outside: "198.51.100.66" });
    stranger.send(stranger.build("OPTIONS", `sip:100@${EDGE}`, headersFrom("stranger")));
    world.deliver("OPTIONS sip:100@203.0.113.1 SIP/2.0\r\nVia: junk\r\n\r\n", stranger.flow);
    world.deliver("\0\0\0\0", stranger.flow);
    const scan = stranger.invitation("bob");
    scan.headers.set("User-Agent", "friendly-scanner");
    stranger.send(scan);
    assert.deepEqual(stranger.responses, []);
    assert.equal(world.edge.stats.refused.scanner, 1);
  });

  test("are asked for a password at most so often, and cost no memory", () => {
    const world = new World();
    const stranger = new Phone(world, "alice", { outside: "198.51.100.66" });
    for (let i = 0; i < 1000; i++) stranger.send(stranger.invitation("bob"));
    assert.ok(stranger.responses.length >= 50 && stranger.responses.length <= 100, `${stranger.responses.length}`);
    assert.ok(stranger.responses.every(({ status }) => status === 407));
    assert.equal(world.edge.pollTimeout(), undefined, "nothing is kept that could end");
  });

  test("who name somebody else's server in Route or Request-URI are not carried there", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
    alice.register();
    const away = alice.invitation("bob");
    away.prependRoute("<sip:elsewhere.example;lr>");
    const before = alice.responses.length;
    alice.send(away);
    assert.equal(alice.responses.length, before);
    const foreign = alice.invitation("bob");
    foreign.replaceUri("sip:bob@elsewhere.example");
    assert.equal(alice.ask(foreign).status, 404);
    assert.deepEqual(world.astray, []);
  });
});

test("a phone of ours is told what is wrong with its message; it may ask for our OPTIONS", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  alice.register();
  const broken = alice.build("INVITE", "sip:bob@example.org", headersFrom("alice"));
  world.deliver(broken.format().replace("Max-Forwards: 70", "Max-Forwards: many"), alice.flow);
  assert.equal(alice.response.status, 400);
  const options = createRequest({
    method: "OPTIONS",
    uri: "sip:example.org",
    headers: [
      ["Via", "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKo;rport"],
      ["Max-Forwards", "70"],
      ...headersFrom("alice", "OPTIONS"),
    ],
  });
  assert.equal(alice.ask(options).status, 200);
  assert.match(alice.response.header("allow") ?? "", /INVITE/);
});

test("answers go to where a phone is, also where it has not asked for that", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const request = alice.registration();
  request.removeTopVia();
  request.prependVia("SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKnorport");
  alice.send(request);
  assert.equal(alice.response.status, 401);
  assert.equal(alice.response.via.params.get("received"), "198.51.100.7");
  // Who is where it says gets its answers at the port that it says.
  const other = new Phone(world, "bob", { outside: "198.51.100.8", port: 5070, inside: "198.51.100.8" });
  const plain = other.registration();
  plain.removeTopVia();
  plain.prependVia("SIP/2.0/UDP 198.51.100.8:5060;branch=z9hG4bKplain");
  other.send(plain);
  assert.deepEqual(
    world.astray.map(({ to }) => to),
    ["198.51.100.8:5060"],
  );
  assert.ok(at("198.51.100.8", 1));
});

function headersFrom(user: string, method = "INVITE"): readonly (readonly [string, string])[] {
  return [
    ["From", `<sip:${user}@example.org>;tag=s`],
    ["To", "<sip:100@example.org>"],
    ["Call-ID", "s"],
    ["CSeq", `1 ${method}`],
  ];
}
