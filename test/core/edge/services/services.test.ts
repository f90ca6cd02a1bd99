import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import type { SipResponse } from "../../../../src/core/sip/message/message.ts";
import { Phone, type PhoneOptions, sdpOf, World } from "../world.ts";

function phone(world: World, options: Partial<PhoneOptions> = {}): Phone {
  const alice = new Phone(world, "alice", { outside: "198.51.100.7", ...options });
  assert.equal(alice.register().status, 200);
  return alice;
}

function call(alice: Phone, service: string, body?: string): SipResponse {
  const answer = alice.ask(alice.invitation(service, undefined, body));
  assert.equal(answer.status, 200);
  return answer;
}

suite("echo and milliwatt", () => {
  for (const transport of ["udp", "tcp", "tls"] as const) {
    test(`echo answers over ${transport}, sends back what it hears, and ends with BYE`, () => {
      const world = new World();
      const alice = phone(world, { transport });
      const answer = call(alice, "echo");
      alice.send(alice.within(answer, "ACK"));
      const heard = alice.speak(sdpOf(answer));
      assert.equal(heard && formatAddress(heard.remote), "198.51.100.7:17000");
      assert.deepEqual(world.told("call"), ["started", "answered"]);
      assert.equal(alice.ask(alice.within(answer, "BYE")).status, 200);
      assert.deepEqual(world.told("call"), ["started", "answered", "ended"]);
      assert.deepEqual([world.ports.size, world.edge.calls().length], [0, 0]);
    });
  }
});
