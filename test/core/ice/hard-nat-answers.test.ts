/** What an agent that probes makes of answers, and of sockets that come late: one agent, and a peer written by hand. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Address } from "../../../src/core/base/address.ts";
import type { BaseId } from "../../../src/core/ice/base.ts";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { address } from "../turn/server/world.ts";
import { candidate, OWN, PEERS, type Sent, Solo } from "./solo.ts";

const servers = [address("203.0.113.1:3478"), address("203.0.113.2:3478")];
const PEER_IP = "198.51.100.7";
const STRANGER = address("198.51.100.8:2000");

/** Servers have seen it at `own`; the peer says that it was seen at `peers`. */
function begin(own: readonly number[], peers: readonly number[]): Solo {
  const solo = new Solo({ hardNats: true, stunServers: servers }).gather().run(200);
  introduce(solo, own, peers);
  return solo;
}

function introduce(solo: Solo, own: readonly number[], peers: readonly number[]): void {
  for (const [n, port] of own.entries()) {
    const server = servers[n] as Address;
    const query = solo.lastRequest(server);
    const answer = solo
      .begun(MessageClass.Success, query.view.data.slice(4, 20))
      .xorAddress(Attribute.XorMappedAddress, address(`192.0.2.99:${port}`))
      .fingerprint();
    solo.deliver(answer.finish(), server);
  }
  const related = address("10.0.0.2:5000");
  const candidates = peers.map((port, n) =>
    candidate(`${PEER_IP}:${port}`, "srflx", { related, priority: 1_000_000 - n }),
  );
  solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates, hardNats: true }, solo.now));
}

function guessing(): { readonly solo: Solo; readonly probe: Sent; readonly to: Address } {
  const solo = begin([7000, 7000], [6000, 30_000]).run(3_000);
  const isProbe = ({ to }: Sent): boolean => to.startsWith(PEER_IP) && !/:(6000|30000)$/.test(to);
  const probe = solo.requests.findLast(isProbe);
  assert.ok(probe, "nothing was guessed");
  return { solo, probe, to: address(probe.to) };
}

suite("answers to probes", () => {
  test("form a pair, which is checked like any other", () => {
    const { solo, probe, to } = guessing();
    assert.ok(probe.view.has(Attribute.Username) && probe.view.has(Attribute.MessageIntegrity));
    solo.deliver(solo.answerBytes(probe), to);
    assert.equal(solo.pair(to)?.isValid, false, "the answer itself is no proof");
    solo.run(50);
    solo.deliver(solo.answerBytes(solo.lastRequest(to)), to);
    assert.equal(solo.pair(to)?.isValid, true);
  });

  test("count when the last port has been tried, too", () => {
    const solo = begin([7000, 7000], [6000, 30_000]).run(2_000 + 10_300);
    const probe = solo.requests.at(-1) as Sent;
    solo.run(2_500);
    assert.equal(solo.agent.report(0)?.probing[0]?.probes, 1_024);
    solo.deliver(solo.answerBytes(probe), address(probe.to));
    assert.ok(solo.pair(address(probe.to)));
  });

  test("count once", () => {
    const { solo, probe, to } = guessing();
    for (let n = 0; n < 3; n++) solo.deliver(solo.answerBytes(probe), to);
    assert.equal(solo.agent.drops.unexpected, 2);
    assert.equal(solo.agent.report(0)?.pairs.filter(({ remote }) => remote.address.port === to.port).length, 1);
  });

  test("mean nothing when others sealed them, or when they come from elsewhere or to elsewhere", () => {
    const { solo, probe, to } = guessing();
    solo.deliver(solo.answerBytes(probe, OWN, "somebody's+own+password"), to);
    solo.deliver(solo.answerBytes(probe), STRANGER);
    solo.do((agent) =>
      agent.handleAddressAdded({ base: 9, stream: 0, component: 1, address: address("192.0.2.2:1") }, solo.now),
    );
    solo.deliver(solo.answerBytes(probe), to, 9);
    assert.equal(solo.agent.drops.unexpected, 3);
    assert.deepEqual([solo.pair(to), solo.pair(STRANGER)], [undefined, undefined]);
  });
});

suite("sockets", () => {
  const socketAt = (port: number): Address => address(`192.0.2.1:${port}`);
  const give = (solo: Solo, base: number): void =>
    solo.do((agent) => agent.handleSocketOpened(1, base as BaseId, socketAt(base), solo.now));
  const closed = (solo: Solo): number[] =>
    solo.socketOrders.flatMap((order) => (order.kind === "closeSocket" ? [order.base] : []));

  test("are asked for one by one, and each sends one probe to where the peer is", () => {
    const solo = begin([7000, 9000], [6000]).run(2_500);
    assert.deepEqual(solo.socketOrders, [{ kind: "openSocket", like: 1 }]);
    for (const base of [100, 101]) {
      give(solo, base);
      solo.run(10);
      const sent = solo.sent.filter((one) => one.base === base);
      assert.deepEqual(
        sent.map(({ to }) => to),
        [`${PEER_IP}:6000`],
      );
    }
    assert.equal(solo.socketOrders.length, 3);
  });

  test("that nobody has asked for are closed again", () => {
    const solo = begin([7000, 9000], [6000]).run(2_500);
    give(solo, 100);
    give(solo, 101);
    solo.do((agent) => agent.handleSocketOpened(77, 102, socketAt(102), solo.now));
    assert.deepEqual(closed(solo), [102], "the second was asked for when the first had sent");
    solo.do((agent) => agent.handleSocketFailed(1, solo.now));
    give(solo, 103);
    assert.deepEqual(closed(solo), [102, 103]);
  });

  test("are not asked for any more once there was none to be had", () => {
    const solo = begin([7000, 9000], [6000]).run(2_500);
    solo.do((agent) => agent.handleSocketFailed(1, solo.now));
    assert.equal(solo.run(1_000).socketOrders.length, 1);
  });

  test("that are gone by themselves send nothing, and are not closed", () => {
    const solo = begin([7000, 9000], [6000]).run(2_500);
    give(solo, 100);
    give(solo, 101);
    for (const base of [100, 101]) solo.do((agent) => agent.handleAddressLost(base as BaseId, solo.now));
    solo.run(30_000);
    assert.deepEqual([closed(solo), solo.sent.some(({ base }) => base === 101)], [[], false]);
  });

  test("are all closed, and nothing more is asked for, when the one that the peer knows is gone", () => {
    const solo = begin([7000, 9000], [6000]).run(2_500);
    give(solo, 100);
    solo.do((agent) => agent.handleAddressLost(1 as BaseId, solo.now));
    assert.deepEqual(closed(solo), [100]);
    const { length } = solo.sent;
    assert.equal(solo.run(1_000).sent.length, length);
  });

  test("that come when the agent is closed, or has begun anew, are closed again", () => {
    for (const end of [(solo: Solo) => solo.agent.close(solo.now), (solo: Solo) => solo.agent.restart(solo.now)]) {
      const solo = begin([7000, 9000], [6000]).run(2_500);
      solo.do(() => end(solo));
      give(solo, 100);
      assert.deepEqual(closed(solo), [100]);
    }
  });

  test("have numbers of their own", () => {
    const solo = begin([7000, 9000], [6000]).run(2_500);
    assert.throws(() => give(solo, 1), { code: "base-taken" });
  });

  test("are not asked for while servers may still tell what kind this NAT is", () => {
    const solo = new Solo({ hardNats: true, stunServers: servers, gatheringBudget: 6_000 }).gather().run(200);
    introduce(solo, [7000], [6000, 30_000]);
    const count = (): number => solo.requests.filter(({ to }) => to.startsWith(`${PEER_IP}:`)).length;
    const checks = solo.run(4_000) && count();
    assert.ok(checks < 20, "checks and their repetitions");
    assert.ok(solo.run(3_000) && count() > checks + 50);
  });
});
