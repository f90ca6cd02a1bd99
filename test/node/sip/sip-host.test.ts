/** A SIP edge with real sockets: two phones on loopback register, call, speak and hang up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { requireForeign } from "../../support/peers.ts";
import { mediaOf } from "../../support/sip-phone.ts";
import { until } from "../../support/until.ts";
import { DOMAIN, SipHostUnderTest } from "./host-under-test.ts";

test("two phones register, call each other, are heard both ways, and hang up", async () => {
  await using edge = await SipHostUnderTest.open();
  await using alice = await edge.phone("alice", 2);
  await using bob = await edge.phone("bob", 3);
  for (const phone of [alice, bob]) assert.equal((await phone.register()).status, 200);
  assert.deepEqual(
    [...edge.host.bindings()].map(({ aor, contact }) => [aor, contact]),
    [alice, bob].map(({ account, contact }) => [`sip:${account.user}@${DOMAIN}`, contact]),
  );

  const { invite, answer } = await alice.call(bob);
  assert.equal(mediaOf(invite.body).host, "127.0.0.1");
  assert.equal(mediaOf(answer.body).host, "127.0.0.1");
  for (let sequence = 1; sequence <= 5; sequence++) {
    alice.speak(answer.body, sequence);
    bob.speak(invite.body, sequence + 100);
  }
  await until("voice at both ends", () => alice.heard.length === 5 && bob.heard.length === 5);
  assert.deepEqual(
    bob.heard.map(({ data }) => data.readUInt16BE(2)),
    [1, 2, 3, 4, 5],
  );
  // What is heard comes from where it was said to.
  assert.ok(bob.heard.every(({ from }) => from === mediaOf(invite.body).port));
  const [call] = edge.host.calls();
  assert.deepEqual([call?.state, call?.caller.name, call?.callee?.name], ["acknowledged", "alice", "bob"]);
  assert.deepEqual(
    call?.media?.legs.map(({ streams }) => streams.map(({ media }) => [media.packetsIn, media.by])),
    [[[5, "learned"]], [[5, "learned"]]],
  );

  const bye = alice.ask(alice.within(answer, "BYE"));
  bob.accept(await bob.request("BYE"));
  assert.equal((await bye).status, 200);
  assert.deepEqual(
    edge.told("call"),
    ["started", "ringing", "answered", "ended"].filter((what) => what !== "ringing"),
  );
  assert.deepEqual(edge.host.calls(), []);
  await until("the ports to be free", () => edge.host.stats.datapath.sockets === 0);
});

test("ITU-T T.38 annex D: two fax machines hear each other, packet by packet", async () => {
  await using edge = await SipHostUnderTest.open();
  await using alice = await edge.phone("alice", 2);
  await using bob = await edge.phone("bob", 3);
  for (const phone of [alice, bob]) {
    phone.kind = "fax";
    await phone.register();
  }
  const { invite, answer } = await alice.call(bob);
  for (const { body } of [invite, answer]) assert.match(body, /^m=image \d+ udptl t38\r$/m);
  // UDPTL: a number, a primary packet with its length, and no redundant ones.
  const page = (number: number, text: string) => Buffer.from([0, number, text.length, ...Buffer.from(text), 0, 0]);
  for (let number = 0; number < 5; number++) {
    alice.sendMedia(answer.body, page(number, `alice ${number}`));
    bob.sendMedia(invite.body, page(number, `bob ${number}`));
  }
  await until("both faxes", () => alice.heard.length === 5 && bob.heard.length === 5);
  for (const [phone, other] of [
    [alice, "bob"],
    [bob, "alice"],
  ] as const) {
    assert.deepEqual(
      phone.heard.map(({ data }) => data),
      Array.from({ length: 5 }, (_, number) => page(number, `${other} ${number}`)),
    );
  }
});

test("media without any hops left goes nowhere, and is counted", { skip: requireForeign() }, async () => {
  await using edge = await SipHostUnderTest.open();
  await using alice = await edge.phone("alice", 2);
  await using bob = await edge.phone("bob", 3);
  for (const phone of [alice, bob]) await phone.register();
  const { answer } = await alice.call(bob);
  alice.hops = 1;
  let [sent, spent] = [0, 0];
  // The datapath looks at the hops of one in 16 packets where none was worth a look before.
  await until("some to be dropped for that", () => {
    alice.speak(answer.body, ++sent);
    spent = edge.host.calls()[0]?.media?.legs[0]?.streams[0]?.media.drops["hop-limit"] ?? 0;
    return spent > 10;
  });
  assert.equal(edge.host.stats.media.drops["hop-limit"], spent);
  assert.ok(bob.heard.length < sent);
});

test("a wrong password registers nobody", async () => {
  await using edge = await SipHostUnderTest.open();
  await using mallory = await edge.phone("alice", 2, { password: "guessed" });
  assert.equal((await mallory.register()).status, 401);
  assert.equal(edge.host.stats.edge.refused["wrong-password"], 1);
  assert.deepEqual([...edge.host.bindings()], []);
});

test("what was kept of a phone is enough to ring it after a restart", async () => {
  let config: SipHostUnderTest["config"];
  let kept: SipHostUnderTest["stored"];
  let bob: Awaited<ReturnType<SipHostUnderTest["phone"]>>;
  {
    await using edge = await SipHostUnderTest.open();
    bob = await edge.phone("bob", 3);
    await bob.register();
    ({ config, stored: kept } = edge);
  }
  assert.equal(kept.size, 1);
  await using phone = bob;
  await using edge = await SipHostUnderTest.open({ config });
  edge.host.restore(kept.values());
  await using alice = await edge.phone("alice", 2);
  await alice.call(phone);
  const [call] = edge.host.calls();
  assert.equal(call?.callee && formatAddress(call.callee.flow.remote).split(":")[0], "127.0.0.3");
});

test("a phone whose REGISTER says so is forgotten", async () => {
  await using edge = await SipHostUnderTest.open();
  await using alice = await edge.phone("alice", 2);
  await alice.register();
  assert.equal(edge.stored.size, 1);
  await alice.register(0);
  assert.equal(edge.stored.size, 0);
  assert.deepEqual(edge.told("binding"), ["registered", "removed"]);
});

test("a closed host opens no listener", async () => {
  const edge = await SipHostUnderTest.open();
  await edge.host.close();
  const [listener] = edge.config.listeners;
  assert.ok(listener);
  await assert.rejects(edge.host.listen({ transport: "udp", address: listener.local }), { code: "closed" });
});

test("drained, it refuses calls, and ends when the last one does", async () => {
  await using edge = await SipHostUnderTest.open();
  await using alice = await edge.phone("alice", 2);
  await using bob = await edge.phone("bob", 3);
  for (const phone of [alice, bob]) await phone.register();
  const { answer } = await alice.call(bob);
  const drained = edge.host.drain(60_000);
  assert.equal((await bob.ask(bob.invitation("alice"))).status, 503);
  const bye = alice.ask(alice.within(answer, "BYE"));
  bob.accept(await bob.request("BYE"));
  await bye;
  assert.equal(await drained, 0);
});

test("drained without a call, it does not wait", async () => {
  await using edge = await SipHostUnderTest.open();
  assert.equal(await edge.host.drain(3_600_000, AbortSignal.timeout(5_000)), 0);
});

test("drained for no time, it says how many calls are left; a signal ends the waiting", async () => {
  await using edge = await SipHostUnderTest.open();
  await using alice = await edge.phone("alice", 2);
  await using bob = await edge.phone("bob", 3);
  for (const phone of [alice, bob]) await phone.register();
  await alice.call(bob);
  assert.equal(await edge.host.drain(0), 1);
  await assert.rejects(edge.host.drain(60_000, AbortSignal.timeout(1)), { name: "TimeoutError" });
});

test("a connection stays while a phone on it is registered, and soon ends when none is any more", async () => {
  await using edge = await SipHostUnderTest.open({ streams: { unsettledMs: 300 } });
  await using alice = await edge.phone("alice", 2, { transport: "tcp" });
  await using bob = await edge.phone("bob", 3);
  for (const phone of [alice, bob]) assert.equal((await phone.register()).status, 200);
  const { connections } = edge.host.stats.sockets;
  // Nobody has proven anything on this one, and it came later.
  await using stranger = await edge.phone("bob", 4, { transport: "tcp" });
  await until("the stranger's end", () => connections.closed.unsettled === 1 || connections.closed["no-frame"] === 1);
  assert.equal(stranger.responses.length, 0);
  await bob.call(alice);
  await alice.register(0);
  await until("the end of the phone's", () => connections.open === 0);
});

test("a phone whose connection is lost is not called in vain", async () => {
  await using edge = await SipHostUnderTest.open();
  await using bob = await edge.phone("bob", 3);
  await bob.register();
  {
    await using alice = await edge.phone("alice", 2, { transport: "tcp" });
    await alice.register();
  }
  await until("its end", () => edge.told("binding").includes("flow-lost"));
  assert.equal((await bob.ask(bob.invitation("alice"))).status, 480);
});
