/** What happens when things cross: answers that come late, wishes that change while they are asked for, losses in between. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { address, PEER } from "../server/world.ts";
import { channelData, Pair } from "./pair.ts";
import { Script } from "./script.ts";

const one = `${PEER}:7000`;
const onFirstChannel = channelData(0x4000, encodeUtf8("x"));

test("a number is free again as soon as its allocation is lost, whether it was wanted then or not", () => {
  for (const unbindFirst of [true, false]) {
    const pair = new Pair({ transport: "tcp" });
    pair.allocated();
    const number = pair.client.bind(address(one), pair.now);
    pair.run(1);
    if (unbindFirst) pair.client.unbind(address(one));
    pair.breakStream();
    if (!unbindFirst) pair.client.unbind(address(one));
    assert.notEqual(pair.client.bind(address(one), pair.now), number);
  }
});

test("tries are counted anew after each allocation", () => {
  const pair = new Pair({ transport: "tcp", reallocation: { attempts: 1, firstDelay: 100, maxDelay: 100 } });
  pair.allocated();
  for (let i = 0; i < 3; i++) {
    pair.breakStream();
    pair.run(2);
    assert.ok(pair.client.isLive);
  }
});

test("RFC 8656 §12.7: data may overtake the answer to its ChannelBind, but not the end of the wish", () => {
  const script = Script.allocated();
  script.client.bind(address(one), script.now);
  assert.ok(script.client.handleServerDatagram(onFirstChannel, onFirstChannel.length, script.now));
  script.client.unbind(address(one));
  assert.equal(script.client.handleServerDatagram(onFirstChannel, onFirstChannel.length, script.now), undefined);
});

test("a channel that is bound after it was given up carries nothing, and is not told", () => {
  const script = Script.allocated();
  const number = script.client.bind(address(one), script.now);
  script.drain();
  script.client.unbind(address(one));
  const before = script.told.length;
  script.answer(MessageClass.Success, () => {}, "wonderland");
  assert.equal(script.told.length, before);
  assert.equal(script.client.send(address(one), new Uint8Array(1)), undefined);
  script.pass(400);
  assert.equal(script.client.bind(address(one), script.now), number, "it is held for the same peer");
});

test("a 438 need not repeat the realm", () => {
  const script = new Script();
  script.challenge();
  script.refuse(438, (w) => w.text(Attribute.Nonce, "another"));
  assert.deepEqual(
    [script.request.text(Attribute.Realm, 99), script.request.text(Attribute.Nonce, 99)],
    ["example.org", "another"],
  );
});

test("who closes waits for nothing else", () => {
  const script = Script.allocated();
  script.client.permit(address(one), script.now);
  script.drain();
  const asked = script.request.data.slice();
  script.client.close(script.now);
  script.drain();
  const { sends } = script;
  script.pass(3);
  assert.equal(script.sends, sends + 2, "the Refresh alone is sent again");
  assert.deepEqual(script.request.u32(Attribute.Lifetime), 0);
  assert.notDeepEqual(script.request.data, asked);
  assert.deepEqual(script.reasons, ["ended closed"]);
});

test("a lifetime that ends while the client closes changes nothing", () => {
  const script = new Script();
  script.challenge();
  script.grant(12);
  script.pass(6);
  script.refuse(500, () => {}, "wonderland");
  script.pass(5);
  script.client.close(script.now);
  script.drain();
  script.pass(60);
  assert.deepEqual(script.reasons, ["not-refreshed server-error", "ended closed"]);
});

test("a permission that a channel needs is kept, though it is revoked", () => {
  const pair = new Pair();
  pair.allocated();
  pair.client.bind(address(one), pair.now);
  pair.run(1);
  pair.client.revoke(address(one));
  pair.run(450);
  pair.send(one, "still");
  pair.run(1);
  assert.equal(pair.heard.at(-1)?.payload, "still");
});

test("wishes that are repeated while they are asked for are asked for once", () => {
  const script = Script.allocated();
  const { sends } = script;
  for (let i = 0; i < 3; i++) {
    script.client.permit(address("8.8.8.8:1"), script.now);
    script.client.bind(address(one), script.now);
  }
  script.drain();
  assert.equal(script.sends, sends + 2);
});

test("a challenge to a Binding is not answered", () => {
  const script = Script.allocated({ keepalive: 10_000 });
  script.pass(10);
  const { sends } = script;
  script.challenge(401);
  assert.equal(script.sends, sends);
});

test("after a loss the configured server is asked first, whoever it redirected to before", () => {
  const script = new Script({ transport: "tcp" });
  script.challenge();
  script.refuse(300, (w) => w.address(Attribute.AlternateServer, address("9.9.9.2:3478")), "wonderland");
  script.client.handleConnected(script.now);
  script.drain();
  script.challenge();
  script.grant();
  script.client.handleDisconnected(script.now);
  script.drain();
  script.pass(1);
  assert.equal(script.connects.length, 3);
  assert.notEqual(script.connects[1], script.connects[0]);
  assert.equal(script.connects[2], script.connects[0]);
  script.client.handleConnected(script.now);
  script.drain();
  assert.equal(script.request.method, Method.Allocate);
});

suite("closing while an Allocate is under way", () => {
  const asking = (): Script => {
    const script = new Script();
    script.challenge();
    return script;
  };

  test("releases what it brings, when it is answered", () => {
    const script = asking();
    script.client.close(script.now);
    script.drain();
    assert.deepEqual(script.reasons, []);
    script.grant();
    assert.deepEqual([script.request.method, script.request.u32(Attribute.Lifetime)], [Method.Refresh, 0]);
    script.answer(MessageClass.Success, (w) => w.u32(Attribute.Lifetime, 0), "wonderland");
    assert.deepEqual(script.reasons, ["ended closed"]);
    assert.ok(!script.told.some((o) => o.kind === "event" && o.event.type === "allocated"));
  });

  test("asks again with the same message, for a loss would hide an allocation; and no longer than it takes to close", () => {
    const script = asking();
    const asked = script.request.data.slice();
    script.client.close(script.now);
    script.drain();
    const { sends } = script;
    script.pass(2.4);
    assert.equal(script.sends, sends + 2);
    assert.deepEqual(script.request.data, asked);
    assert.deepEqual(script.reasons, []);
    script.pass(0.1);
    assert.deepEqual(script.reasons, ["ended closed"]);
  });

  test("ends with a refusal, and with a stale nonce, which have brought nothing", () => {
    for (const [code, password] of [[486, "wonderland"] as const, [438, undefined] as const]) {
      const script = asking();
      script.client.close(script.now);
      script.drain();
      const { sends } = script;
      if (code === 438) script.challenge(438);
      else script.refuse(code, () => {}, password);
      assert.deepEqual([script.sends, script.reasons], [sends, ["ended closed"]]);
    }
  });

  test("ends at once where the server has not been heard: without a nonce nothing is allocated", () => {
    const script = new Script();
    script.client.close(script.now);
    script.drain();
    assert.deepEqual(script.reasons, ["ended closed"]);
  });

  test("ends when the path does, and when it is closed again nothing changes", () => {
    const script = asking();
    for (let n = 0; n < 2; n++) script.client.close(script.now);
    script.client.handleDisconnected(script.now);
    script.drain();
    assert.deepEqual(script.reasons, ["ended closed"]);
  });
});
