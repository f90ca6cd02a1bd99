/** What a call's record says when it is over. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { Phone, World } from "./world.ts";

suite("the record of a call", () => {
  for (const who of ["caller", "callee"] as const) {
    test(`says with whom it was when the ${who} has hung up`, () => {
      const world = new World();
      const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
      const bob = new Phone(world, "bob", { outside: "192.0.2.9" });
      for (const phone of [alice, bob]) phone.register();
      alice.ask(alice.invitation("bob"));
      bob.answer(200);
      const answer = alice.response;
      alice.send(alice.within(answer, "ACK"));
      const [one, other] = who === "caller" ? [alice, bob] : [bob, alice];
      one.send(one.within(who === "caller" ? answer : bob.request("INVITE"), "BYE"));
      other.send(createResponse(other.request("BYE"), 200));
      const ended = world.events.find((event) => event.type === "call" && event.what === "ended");
      assert.ok(ended?.type === "call");
      const { end, caller, callee } = ended.call;
      assert.deepEqual([end, caller.name, callee?.name], [`hung up by ${who}`, "alice", "bob"]);
    });
  }
});
