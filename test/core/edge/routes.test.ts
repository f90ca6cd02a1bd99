/** Record-Route and Route: what each side is told of the way, and what it brings back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { EDGE, Phone, World } from "./world.ts";

test("RFC 5658 §3.1: between TLS and UDP each side is told of the socket on its own side first, and both hang up", () => {
  for (const who of ["caller", "callee"] as const) {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7", transport: "tls" });
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
    alice.ask(alice.invitation("bob"));
    const invite = bob.request("INVITE");
    const sockets = invite.list("record-route").map((value) => /@([^>]*)>/.exec(value)?.[1]);
    assert.deepEqual(sockets, [`${EDGE}:5060;lr`, `${EDGE}:5061;transport=tls;lr`]);
    bob.answer(200);
    const answer = alice.response;
    alice.send(alice.within(answer, "ACK"));
    assert.equal(bob.request("ACK").header("route"), undefined);
    const [from, to] = who === "caller" ? [alice, bob] : [bob, alice];
    from.send(from.within(who === "caller" ? answer : invite, "BYE"));
    to.send(createResponse(to.request("BYE"), 200));
    assert.equal(from.response.status, 200);
    assert.equal(world.edge.calls().length, 0);
  }
});
