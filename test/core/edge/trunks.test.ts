/** Where calls to a trunk go: what its name stands for, the next server when one fails, connections, what is too large. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { type Prefix, parsePrefix } from "../../../src/core/base/prefix.ts";
import type { EdgeConfig, Trunk } from "../../../src/core/edge/config.ts";
import type { SipTransport } from "../../../src/core/sip/flow.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { MALFORMED } from "../../../src/core/sip/message/characters.ts";
import type { SipRequest } from "../../../src/core/sip/message/message.ts";
import { isSipUri, parseUri, type SipUri } from "../../../src/core/sip/message/uri.ts";
import { voiceSdp } from "../relay/world.ts";
import { at, EDGE, mediaOf, Phone, sdpOf, World } from "./world.ts";

const NUMBER = "+4912345";
const [first, second] = ["198.18.0.5", "198.18.0.6"] as const;

function uriOf(text: string): SipUri {
  const uri = parseUri(text);
  assert.ok(uri !== MALFORMED && isSipUri(uri));
  return uri;
}

function trunk(more: Partial<Trunk> = {}, uri = "sip:sip.provider.example"): Trunk {
  return {
    name: "provider",
    sources: [],
    media: [],
    target: { uri: uriOf(uri), serverName: "sip.provider.example", isMediaThere: true },
    host: "sip.provider.example",
    prefixes: ["+"],
    users: "all",
    ...more,
  };
}

interface Scene {
  readonly world: World;
  readonly alice: Phone;
  /** Its servers, on UDP. */
  readonly gates: readonly [Phone, Phone];
}

function gate(world: World, outside: string, transport: SipTransport = "udp"): Phone {
  const port = transport === "tls" ? 5061 : 5060;
  return new Phone(world, "gate", { outside, port, inside: outside, transport });
}

function endpoint(ip: string, transport: SipTransport = "udp") {
  return { transport, address: at(ip, transport === "tls" ? 5061 : 5060) };
}

function scene(one: Trunk = trunk(), more: Partial<EdgeConfig> = {}): Scene {
  const world = new World({ trunks: [one], ...more });
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  assert.equal(alice.register().status, 200);
  return { world, alice, gates: [gate(world, first), gate(world, second)] };
}

function resolved(one?: Trunk): Scene {
  const made = scene(one);
  made.world.edge.handleTrunkResolved("provider", [endpoint(first), endpoint(second)]);
  return made;
}

function invites(phone: Phone): number {
  return phone.requests.filter(({ method }) => method === "INVITE").length;
}

function failures({ events }: World): string[] {
  return events.flatMap((event) =>
    event.type === "trunk-failed" ? [`${event.trunk} ${formatAddress(event.target.address)} ${event.why}`] : [],
  );
}

suite("RFC 3263: a trunk with a name", () => {
  test("is not dialed before it is known where that is, and the caller hears why at once", () => {
    const { alice, gates } = scene();
    assert.equal(alice.ask(alice.invitation(NUMBER)).status, 503);
    assert.equal(alice.response.reason, "Provider's Address Is Not Known");
    assert.equal(invites(gates[0]), 0);
  });

  test("is dialed at the first of its servers, under its name", () => {
    const { alice, gates } = resolved();
    alice.ask(alice.invitation(NUMBER));
    assert.equal(gates[0].request("INVITE").uriText, `sip:${NUMBER}@sip.provider.example`);
    assert.equal(invites(gates[1]), 0);
  });

  test("has the transport in its URI that it was given, and none that was found", () => {
    for (const [uri, expected] of [
      ["sip:sip.provider.example;transport=tcp", `sip:${NUMBER}@sip.provider.example;transport=tcp`],
      ["sip:sip.provider.example", `sip:${NUMBER}@sip.provider.example`],
    ] as const) {
      const { world, alice } = scene(trunk({}, uri));
      world.edge.handleTrunkResolved("provider", [endpoint(first, "tcp")]);
      alice.ask(alice.invitation(NUMBER));
      assert.ok(world.astray.at(-1)?.text.startsWith(`INVITE ${expected} SIP/2.0`), world.astray.at(-1)?.text);
    }
  });

  test("calls us from its servers, and from the ranges that were said besides, and from nowhere else", () => {
    const { world, alice } = scene(trunk({ sources: [parsePrefix("198.18.9.0/24") as Prefix] }));
    const [server, beside, elsewhere] = [gate(world, first), gate(world, "198.18.9.9"), gate(world, "198.18.7.7")];
    const brings = (from: Phone) => {
      const before = invites(alice);
      from.send(from.invitation("alice"));
      return invites(alice) > before;
    };
    assert.deepEqual([server, beside, elsewhere].map(brings), [false, true, false]);
    world.edge.handleTrunkResolved("provider", [endpoint(first)]);
    assert.deepEqual([server, beside, elsewhere].map(brings), [true, true, false]);
    world.edge.handleTrunkResolved("provider", [endpoint("198.18.7.7")]);
    assert.deepEqual([server, beside, elsewhere].map(brings), [false, true, true]);
  });

  test("is heard from its servers, unless it was said where its media is", () => {
    for (const isMediaThere of [true, false]) {
      const target = { uri: uriOf("sip:x.example"), serverName: "x.example", isMediaThere };
      const { world, alice, gates } = scene(trunk({ target }));
      world.edge.handleTrunkResolved("provider", [endpoint(first)]);
      alice.ask(alice.invitation(NUMBER));
      gates[0].answer(200, { body: voiceSdp("10.9.9.9:7000") });
      alice.send(alice.within(alice.response, "ACK"));
      alice.speak(sdpOf(alice.response));
      const heard = gates[0].speak(sdpOf(gates[0].request("INVITE")), at(first, 7000));
      assert.equal(heard !== undefined, isMediaThere);
    }
  });

  test("keeps its calls when the name stands for others", () => {
    const { world, alice, gates } = resolved();
    gates[0].send(gates[0].invitation("alice"));
    alice.answer(200);
    const { response } = gates[0];
    gates[0].send(gates[0].within(response, "ACK"));
    world.edge.handleTrunkResolved("provider", [endpoint(first), endpoint("198.18.0.9")]);
    gates[0].send(gates[0].within(response, "BYE"));
    assert.equal(alice.request("BYE").method, "BYE");
  });
  test("counts a call that is known again", () => {
    const { world, alice, gates } = resolved(trunk({ calls: 1 }));
    alice.ask(alice.invitation(NUMBER));
    gates[0].answer(200);
    const { response } = alice;
    alice.send(alice.within(response, "ACK"));
    const next = world.restarted();
    next.edge.handleTrunkResolved("provider", [endpoint(first), endpoint(second)]);
    for (const phone of [alice, gates[0]]) phone.joins(next);
    alice.send(alice.within(response, "INVITE", { body: alice.sdp() }));
    gates[0].answer(200, { tag: "to-gate-198.18.0.5" });
    assert.equal(next.edge.callCount, 1);
    alice.ask(alice.invitation(NUMBER));
    assert.equal(alice.response.reason, "Too Many Calls Through This Trunk");
  });
  for (const way of ["out", "in"] as const) {
    test(`hears of its end, ${way === "in" ? "which it has placed" : "which was placed through it"}, from a server that the name stands for no more`, () => {
      const { world, alice, gates } = resolved();
      const [gate] = gates;
      const [caller, callee] = way === "in" ? [gate, alice] : [alice, gate];
      caller.ask(caller.invitation(way === "in" ? "alice" : NUMBER));
      callee.answer(200);
      const { response } = caller;
      caller.send(caller.within(response, "ACK"));
      world.edge.handleTrunkResolved("provider", [endpoint("198.18.0.9")]);
      gate.send(gate.within(way === "in" ? response : gate.request("INVITE"), "BYE"));
      assert.ok(alice.requests.some(({ method }) => method === "BYE"));
      const before = invites(alice);
      gate.send(gate.invitation("alice"));
      assert.equal(invites(alice), before, "it begins nothing");
    });
  }

  test("is heard in its calls, held and resumed, from a server that the name stands for no more", () => {
    const { world, alice, gates } = resolved();
    const [gate] = gates;
    const answer = () => gate.answer(200, { body: voiceSdp("10.9.9.9:7000") });
    const isHeard = () => {
      alice.speak(sdpOf(alice.response));
      return gate.speak(sdpOf(gate.request("INVITE")), at(first, 7000)) !== undefined;
    };
    alice.ask(alice.invitation(NUMBER));
    answer();
    const { response } = alice;
    alice.send(alice.within(response, "ACK"));
    assert.ok(isHeard());
    world.edge.handleTrunkResolved("provider", [endpoint("198.18.0.9")]);
    alice.send(alice.within(response, "INVITE", { body: alice.sdp() }));
    answer();
    alice.send(alice.within(response, "ACK"));
    assert.ok(isHeard());
  });
});

suite("a call through a trunk", () => {
  const scene = () => {
    const made = resolved(trunk({ prefixes: ["+49"] }));
    const { alice, gates } = made;
    alice.ask(alice.invitation(NUMBER));
    gates[0].answer(200);
    const { response } = alice;
    alice.send(alice.within(response, "ACK"));
    const again = (uri?: string): SipRequest => {
      const invite = alice.within(response, "INVITE", { body: alice.sdp() });
      if (uri !== undefined) invite.replaceUri(uri);
      return invite;
    };
    return { ...made, gate: gates[0], response, again };
  };

  test("is no way to a number that its user may not dial", () => {
    const { alice, gate, again } = scene();
    alice.send(again("sip:+900123456@198.18.0.5"));
    assert.equal(alice.response.reason, "Not Allowed to Dial Within a Call");
    assert.equal(invites(gate), 1);
    alice.send(again());
    assert.equal(invites(gate), 2);
  });

  test("stays where it is when what the provider asks is refused", () => {
    const { alice, gate, again } = scene();
    const invite = gate.within(gate.request("INVITE"), "INVITE", { body: gate.sdp() });
    invite.replaceContactUri(0, "sip:+900123456@198.18.0.5:5060");
    gate.send(invite);
    alice.answer(488);
    alice.send(again("sip:+900123456@198.18.0.5:5060"));
    assert.equal(alice.response.reason, "Not Allowed to Dial Within a Call");
  });

  test("goes on at where the provider says that it is now, in an INVITE or its answer", () => {
    const elsewhere = "sip:conference-77@198.18.0.5:5060";
    for (const by of ["its own", "an answer"] as const) {
      const { alice, gate, again } = scene();
      if (by === "its own") {
        const invite = gate.within(gate.request("INVITE"), "INVITE", { body: gate.sdp() });
        invite.replaceContactUri(0, elsewhere);
        gate.send(invite);
        alice.answer(200);
        gate.send(gate.within(gate.response, "ACK"));
      } else {
        alice.send(again());
        const invite = gate.request("INVITE");
        const headers = [["Contact", `<${elsewhere}>`]] as const;
        gate.send(createResponse(invite, 200, { headers }));
        alice.send(alice.within(alice.response, "ACK"));
      }
      alice.send(again(elsewhere));
      assert.equal(gate.request("INVITE").uriText, elsewhere, by);
    }
  });
});

suite("RFC 3263 §4.3: a server of a trunk that fails", () => {
  test("is passed over within the call, and tried last for a minute", () => {
    const { world, alice, gates } = resolved();
    alice.ask(alice.invitation(NUMBER));
    gates[0].answer(503);
    assert.equal(invites(gates[1]), 1);
    gates[1].answer(200);
    assert.equal(alice.response.status, 200);
    assert.deepEqual(failures(world), ["provider 198.18.0.5:5060 unavailable"]);
    world.pass(59_999);
    alice.ask(alice.invitation(NUMBER));
    gates[1].answer(486);
    assert.deepEqual([invites(gates[0]), invites(gates[1])], [1, 2]);
    world.pass(1);
    alice.ask(alice.invitation(NUMBER));
    assert.equal(invites(gates[0]), 2);
  });

  test("is left alone for as long as it asks, ten minutes at most", () => {
    const { world, alice, gates } = resolved();
    const refuse = (seconds: string) => {
      alice.ask(alice.invitation(NUMBER));
      const headers = [["Retry-After", seconds]] as const;
      gates[0].send(createResponse(gates[0].request("INVITE"), 503, { toTag: "busy", headers }));
      gates[1].answer(486);
    };
    const comesBackAfter = (ms: number) => {
      const before = invites(gates[0]);
      world.pass(ms - 1);
      alice.ask(alice.invitation(NUMBER));
      gates[1].answer(486);
      assert.equal(invites(gates[0]), before);
      world.pass(1);
    };
    refuse("5");
    comesBackAfter(5_000);
    refuse("4000000000");
    comesBackAfter(600_000);
    alice.ask(alice.invitation(NUMBER));
    assert.equal(invites(gates[0]), 3);
  });

  test("may be silent for six seconds, which nobody repeats in vain a second time", () => {
    const { world, alice, gates } = resolved();
    world.forget(gates[0].flow);
    alice.ask(alice.invitation(NUMBER));
    world.pass(6_000);
    assert.equal(invites(gates[1]), 1);
    assert.deepEqual(failures(world), ["provider 198.18.0.5:5060 timeout"]);
    gates[1].answer(486);
    assert.equal(alice.response.status, 486);
  });

  test("is no reason to ring twice: a number that is busy is busy", () => {
    const { alice, gates } = resolved();
    alice.ask(alice.invitation(NUMBER));
    gates[0].answer(486);
    assert.equal(alice.response.status, 486);
    assert.equal(invites(gates[1]), 0);
  });

  test("gives way to another trunk for the same numbers", () => {
    const target = { transport: "udp", address: at(second, 5060) } as const;
    const { alice, gates, world } = scene(trunk(), {
      trunks: [trunk(), trunk({ name: "other", host: "other.example", target })],
    });
    world.edge.handleTrunkResolved("provider", [endpoint(first)]);
    alice.ask(alice.invitation(NUMBER));
    gates[0].answer(503);
    assert.equal(gates[1].request("INVITE").uriText, `sip:${NUMBER}@other.example`);
  });

  test("is not one of many: four are tried", () => {
    const { world, alice } = scene();
    const ips = [1, 2, 3, 4, 5].map((n) => `198.18.1.${n}`);
    world.edge.handleTrunkResolved(
      "provider",
      ips.map((ip) => endpoint(ip)),
    );
    for (const ip of ips) world.unreachable.add(`udp ${ip}:5060`);
    alice.ask(alice.invitation(NUMBER));
    assert.equal(world.targets.length, 4);
    assert.equal(alice.response.status, 500);
  });
});

suite("a trunk on TCP or TLS", () => {
  test("has one name for its certificate, for every request of a call", () => {
    const { world, alice } = scene();
    world.edge.handleTrunkResolved("provider", [endpoint(first, "tls")]);
    const server = gate(world, first, "tls");
    // It is reached by a connection of ours, whose number the edge does not know.
    world.forget(server.flow);
    const ours = { ...server.flow, connection: 0, local: server.flow.remote };
    server.flow = ours;
    world.add(server);
    alice.ask(alice.invitation(NUMBER));
    server.flow = { ...ours, connection: 77, local: at(EDGE, 49_152) };
    server.answer(200);
    server.flow = ours;
    const answer = alice.response;
    assert.equal(answer.status, 200);
    alice.send(alice.within(answer, "ACK"));
    alice.send(alice.within(answer, "BYE"));
    assert.equal(server.request("BYE").uriText, server.contact);
    assert.deepEqual(
      world.targets.map(({ transport, serverName, local }) => [transport, serverName, local && formatAddress(local)]),
      Array(3).fill(["tls", "sip.provider.example", "203.0.113.1:5061"]),
    );
  });

  function calledByTrunk(): { world: World; alice: Phone; server: Phone } {
    const { world, alice } = scene();
    world.edge.handleTrunkResolved("provider", [endpoint(first, "tcp")]);
    const server = new Phone(world, "gate", { outside: first, port: 41_000, inside: first, transport: "tcp" });
    server.send(server.invitation("alice"));
    alice.answer(200);
    server.send(server.within(server.response, "ACK"));
    return { world, alice, server };
  }

  test("is reached within a call by the connection that it opened, which stays", () => {
    const { world, alice, server } = calledByTrunk();
    assert.deepEqual(world.settled, [server.flow.connection]);
    alice.send(alice.within(alice.request("INVITE"), "BYE"));
    assert.equal(server.request("BYE").uriText, server.contact);
    assert.equal(world.targets.length, 0);
  });

  test("is dialed when that connection is closed, where it is known to listen", () => {
    const { world, alice, server } = calledByTrunk();
    world.edge.handleConnectionClosed(server.flow.connection, world.now);
    world.forget(server.flow);
    alice.send(alice.within(alice.request("INVITE"), "BYE"));
    assert.deepEqual(
      world.targets.map(({ transport, address }) => `${transport} ${formatAddress(address)}`),
      ["tcp 198.18.0.5:5060"],
    );
    assert.ok(world.astray.at(-1)?.text.startsWith(`BYE ${server.contact}`));
  });

  test("that only takes calls may speak within them, and nowhere else", () => {
    const target = { transport: "udp", address: at(first, 5060) } as const;
    const { alice, gates } = scene(trunk({ target }));
    alice.ask(alice.invitation(NUMBER));
    gates[0].answer(200);
    const answer = alice.response;
    alice.send(alice.within(answer, "ACK"));
    gates[0].send(gates[0].within(gates[0].request("INVITE"), "BYE"));
    assert.equal(alice.request("BYE").method, "BYE");
    gates[0].send(gates[0].invitation("alice"));
    assert.equal(invites(alice), 0);
  });

  test("may speak within its calls where another trunk is, too", () => {
    const target = { transport: "udp", address: at(first, 5060) } as const;
    const home = trunk({ name: "home", target, sources: [parsePrefix(first) as Prefix], prefixes: ["+49"] });
    const world = trunk({ name: "world", target, prefixes: ["+", "00"] });
    const { alice, gates } = scene(home, { trunks: [home, world] });
    alice.ask(alice.invitation("0031123"));
    gates[0].answer(200);
    alice.send(alice.within(alice.response, "ACK"));
    gates[0].send(gates[0].within(gates[0].request("INVITE"), "BYE"));
    assert.equal(alice.request("BYE").method, "BYE");
  });
});

suite("RFC 3261 §18.1.1: a request to a trunk on UDP that is too large for that", () => {
  const long = Array.from({ length: 30 }, (_, n) => `a=x-padding:${n} ${"x".repeat(40)}`);

  test("goes over TCP, and there is said so", () => {
    const { world, alice } = resolved();
    alice.ask(alice.invitation(NUMBER, undefined, alice.sdp(long)));
    assert.deepEqual(
      world.targets.map(({ transport, address }) => `${transport} ${formatAddress(address)}`),
      ["tcp 198.18.0.5:5060"],
    );
    assert.match(world.astray.at(-1)?.text ?? "", /\r\nVia: SIP\/2\.0\/TCP 203\.0\.113\.1:5060;/);
  });

  test("goes by UDP where TCP is refused, and for ten minutes nobody tries that again", () => {
    const { world, alice, gates } = resolved();
    world.unreachable.add(`tcp ${first}:5060`);
    const call = () => {
      world.targets.length = 0;
      alice.ask(alice.invitation(NUMBER, undefined, alice.sdp(long)));
      gates[0].answer(486);
      return world.targets.map(({ transport }) => transport).slice(0, 2);
    };
    assert.deepEqual(call(), ["tcp", "udp"]);
    assert.equal(gates[0].request("INVITE").via.transport, "UDP");
    assert.deepEqual(failures(world), [], "it is there");
    assert.deepEqual(world.told("trouble"), [], "and is reached");
    world.pass(599_999);
    assert.ok(!call().includes("tcp"));
    world.pass(1);
    assert.deepEqual(call(), ["tcp", "udp"]);
  });

  test("goes so within a call, too", () => {
    const { world, alice, gates } = resolved();
    alice.ask(alice.invitation(NUMBER));
    gates[0].answer(200);
    const answer = alice.response;
    alice.send(alice.within(answer, "ACK"));
    world.targets.length = 0;
    alice.send(alice.within(answer, "INVITE", { body: alice.sdp(long) }));
    assert.deepEqual(
      world.targets.map(({ transport }) => transport),
      ["tcp"],
    );
  });

  test("never goes to a phone but by its own flow", () => {
    const { world, alice } = scene();
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    bob.register();
    alice.ask(alice.invitation("bob", undefined, alice.sdp(long)));
    assert.ok(bob.request("INVITE").format().length > 1_500);
    assert.equal(world.targets.length, 0);
  });
});

test("a request to a trunk leaves by the address that is nearest to it, and names that", () => {
  const listener = (ip: string) => ({ transport: "udp", local: at(ip, 5060), name: `${ip}:5060` }) as const;
  const { world, alice } = scene(trunk(), { listeners: [listener(EDGE), listener("10.0.0.1")] });
  world.edge.handleTrunkResolved("provider", [endpoint("10.0.0.9")]);
  const server = gate(world, "10.0.0.9");
  alice.ask(alice.invitation(NUMBER));
  const invite = server.request("INVITE");
  assert.equal(world.targets.at(-1)?.local && formatAddress(world.targets[0]?.local ?? assert.fail()), "10.0.0.1:5060");
  assert.equal(`${invite.via.host}:${invite.via.port}`, "10.0.0.1:5060");
  assert.match(invite.list("record-route")[0] ?? "", /@10\.0\.0\.1:5060;lr>/);
  assert.match(invite.list("record-route")[1] ?? "", /@203\.0\.113\.1:5060;lr>/);
  assert.ok(mediaOf(sdpOf(invite)));
});
