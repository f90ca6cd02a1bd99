/** A peer that tells a thousand candidates, of which one is genuine; and servers that are of no use. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Candidate } from "../../../src/core/ice/candidate.ts";
import { MessageClass } from "../../../src/core/stun/registry.ts";
import { StunWriter } from "../../../src/core/stun/writer.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { address } from "../turn/server/world.ts";
import { candidate, OWN, PEER, PEERS, Solo } from "./solo.ts";

/** `genuine`: where it stands; the others are of lower priority. */
function crowd(genuine: number): Candidate[] {
  return Array.from({ length: 1_000 }, (_, n) => {
    if (n === genuine) return candidate("198.51.100.7:2000");
    return candidate(`203.0.${n >> 8}.${n & 255}:2000`, "srflx", { priority: 1_000 + n, foundation: `f${n}` });
  });
}

/** The peer answers at its genuine address alone. */
function live(solo: Solo, ms: number): void {
  const answered = new Set<unknown>();
  for (let t = 0; t < ms; t += 5) {
    solo.run(5);
    for (const one of solo.requests) {
      if (one.to !== "198.51.100.7:2000" || answered.has(one)) continue;
      answered.add(one);
      solo.deliver(solo.answerBytes(one));
    }
    const report = solo.agent.report(0);
    assert.ok((report?.pairs.length ?? 0) <= 100 && (report?.remote.length ?? 0) <= 60);
  }
}

/** First tries only: repetitions have clocks of their own. */
function firstTries(solo: Solo): number[] {
  const seen = new Set<string>();
  return solo.requests.flatMap(({ at, view }) => {
    const id = view.data.subarray(8, 20).join();
    if (seen.has(id)) return [];
    seen.add(id);
    return [at];
  });
}

suite("RFC 8445 §6.1.2.5: among a thousand candidates the genuine one is found, at the pace of any other call", () => {
  for (const at of [0, 500, 999]) {
    for (const how of ["at once", "one by one"] as const) {
      test(`${how}, it is number ${at}`, () => {
        const solo = new Solo().gather();
        const candidates = crowd(at);
        if (how === "at once") {
          solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates }, solo.now));
        } else {
          solo.do((agent) => agent.handleRemoteDescription(0, PEERS, solo.now));
          for (const one of candidates) {
            solo.do((agent) => agent.handleRemoteCandidate(0, one, solo.now));
            live(solo, 5);
          }
        }
        live(solo, 5_000);
        assert.equal(solo.agent.state, "connected");
        assert.ok(solo.pair()?.isSelected);
        const times = firstTries(solo);
        for (const [n, time] of times.entries()) assert.ok(n === 0 || time - (times[n - 1] as number) >= 50);
        const checked = new Set(solo.requests.map(({ to }) => to));
        assert.ok(checked.size <= 140, `${checked.size} addresses have been sent to`);
      });
    }
  }

  test("one that the peer checks from is found, though the list is full of better ones", () => {
    const solo = new Solo({ role: "controlled" }).gather();
    const candidates = crowd(-1).map((one) => ({ ...one, priority: one.priority + 2 ** 29 }));
    solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates }, solo.now));
    solo.check({ from: PEER, useCandidate: true });
    live(solo, 1_000);
    assert.equal(solo.agent.state, "connected");
  });
});

suite("a server of no use costs the budget, and no call more", () => {
  const servers = [address("198.18.0.1:3478"), address("198.18.0.2:3478")];
  const random = new SeededRandom(7);
  const kinds: Record<string, (solo: Solo, id: Uint8Array) => Uint8Array | undefined> = {
    "never answers": () => undefined,
    "answers with noise": () => random.bytes(64),
    "answers with a success without an address": (solo, id) => solo.begun(MessageClass.Success, id).finish(),
    "answers to others": (solo) => solo.begun(MessageClass.Success).finish(),
    "answers with an error": (solo, id) => solo.begun(MessageClass.Error, id).errorCode(500).finish(),
    "answers with half a message": (_, id) =>
      new StunWriter().begin(1, MessageClass.Success, id).finish().subarray(0, 19),
  };
  for (const [name, answer] of Object.entries(kinds)) {
    test(name, () => {
      const solo = new Solo({ stunServers: servers, gatheringBudget: 1_200 }).gather();
      const began = solo.now;
      const told = new Set<unknown>();
      for (let t = 0; t < 3_000; t += 5) {
        for (const one of solo.requests) {
          const server = servers.find((_, n) => one.to === `198.18.0.${n + 1}:3478`);
          if (server === undefined || told.has(one)) continue;
          told.add(one);
          const bytes = answer(solo, one.view.data.slice(4, 20));
          if (bytes !== undefined) for (let n = 0; n < 3; n++) solo.deliver(bytes, server);
        }
        solo.run(5);
      }
      const [gathered] = solo.all("gathered");
      assert.ok(gathered !== undefined && gathered.at - began <= 1_200, `after ${gathered && gathered.at - began} ms`);
      assert.equal(solo.all("candidate").length, 1);
    });
  }

  test("a relay that is never made keeps nobody waiting longer; made late, it is still of use", () => {
    const solo = new Solo({ gatheringBudget: 1_200 });
    const base = 8 as Parameters<typeof solo.agent.handleRelayPending>[0];
    solo.do((agent) => agent.handleRelayPending(base, 0, 1));
    solo.gather();
    solo.run(3_000);
    assert.equal(solo.all("gathered")[0]?.at, 2_200);
    solo.do((agent) =>
      agent.handleRemoteDescription(0, { ...PEERS, candidates: [candidate("198.51.100.7:2000")] }, solo.now),
    );
    const relay = { base, stream: 0, component: 1, address: address("203.0.113.2:5000"), mapped: OWN } as const;
    solo.do((agent) => agent.handleRelayed({ ...relay, transport: "udp" }, solo.now));
    assert.equal(solo.permits.length, 1);
  });

  test("direct checks wait for no server at all", () => {
    const solo = new Solo({ stunServers: servers, gatheringBudget: 1_200 }).begin(candidate("198.51.100.7:2000"));
    live(solo, 400);
    assert.equal(solo.agent.state, "connected");
  });
});
