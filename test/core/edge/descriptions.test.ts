/** Descriptions on their way: exchanged whole, or refused. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Phone, World } from "./world.ts";

function phones(world: World): readonly [Phone, Phone] {
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  return [alice, bob];
}

suite("RFC 3261 §21.4.26: a description that two could read in two ways reaches nobody", () => {
  const cases: Record<string, (good: string) => string> = {
    "v= and nothing else": () => "v=0\r\n",
    "a second c= within a line": (good) => good.replace("s=-", "s=-\rc=IN IP4 192.0.2.66"),
    "no c=": (good) => good.replace(/c=.*\r\n/, ""),
    "two in one": (good) => good + good,
  };
  for (const [name, spoil] of Object.entries(cases)) {
    test(`an offer: ${name}`, () => {
      const world = new World();
      const [alice, bob] = phones(world);
      assert.equal(alice.ask(alice.invitation("bob", undefined, spoil(alice.sdp()))).status, 488);
      assert.deepEqual(bob.requests, []);
      assert.equal(world.ports.size, 0);
    });

    test(`an answer: ${name}`, () => {
      const world = new World();
      const [alice, bob] = phones(world);
      alice.ask(alice.invitation("bob"));
      bob.answer(200, { body: spoil(bob.sdp()) });
      assert.equal(alice.response.status, 488);
      assert.equal(world.ports.size, 0);
    });
  }

  test("two parts of a body", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    const invite = alice.invitation("bob", undefined, "");
    const part = `--x\r\nContent-Type: application/sdp\r\n\r\n${alice.sdp()}\r\n`;
    invite.setBody(`${part}${part}--x--\r\n`, "multipart/mixed;boundary=x");
    assert.equal(alice.ask(invite).status, 488);
    assert.deepEqual(bob.requests, []);
  });
});
