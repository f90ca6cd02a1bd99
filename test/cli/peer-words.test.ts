/** What an outcome is called: the picture of the path, why it is not direct, and what is believed of the other end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { adviseOnFailed, adviseOnRelayed } from "../../src/cli/check/peer/advice.ts";
import { type End, peerEnd } from "../../src/cli/check/peer/end.ts";
import { figuresOf, type Outcome, qualityOf } from "../../src/cli/check/peer/outcome.ts";
import { drawPath } from "../../src/cli/check/peer/picture.ts";
import { decidedBecause, formatSummary, parseSummary } from "../../src/cli/check/peer/summary.ts";
import { parseIp } from "../../src/core/base/address.ts";
import type { Candidate } from "../../src/core/ice/candidate.ts";
import type { Path } from "../../src/core/ice/outputs.ts";
import { cause, choice } from "../../src/core/ice/reasons.ts";
import type { IceReport } from "../../src/core/ice/report.ts";

const symmetric: End = {
  ...{ host: "10.0.1.2:4000", outside: "203.0.113.11:61002" },
  nat: { kind: "symmetric", mapping: "address-and-port-dependent", layers: "several" },
};
const cone: End = {
  ...{ host: "10.0.2.2:5000", outside: "203.0.113.12:5000" },
  nat: { kind: "full-cone", mapping: "endpoint-independent" },
};
const report = { relayFailures: [] };

function picture(outcome: Outcome["outcome"], own: End, peer: End): string[] {
  return drawPath({ outcome, own, peer, speech: undefined }).map((line) => line.trim().replace(/ {2,}/g, "  "));
}

test("the other end's relay is known, though its check came before it was told of", () => {
  const common = { foundation: "1", component: 1, address: parseIp("192.0.2.1", 50_000)! } as const;
  const told: Candidate = { ...common, priority: 16_777_215, type: "relay", related: parseIp("203.0.113.11", 61_002)! };
  // RFC 8445 §7.3.1.3: of the priority that the check has told, which only what is relayed has.
  const seen: Candidate = { ...common, priority: 16_777_215, type: "prflx", related: undefined };
  const peer = (remote: readonly Candidate[]) =>
    peerEnd({ remote: seen } as unknown as Path, { remote } as unknown as IceReport);
  assert.deepEqual(peer([told]), { outside: "203.0.113.11:61002", relay: "192.0.2.1:50000" });
  assert.deepEqual(peer([]), { relay: "192.0.2.1:50000" });
});

describe("pictures", () => {
  test("direct: hosts and NATs, as far as they are known", () => {
    assert.deepEqual(picture("direct", symmetric, { host: "198.51.100.7:4000" }), [
      "this machine  10.0.1.2:4000",
      "│",
      "NAT  203.0.113.11:61002  symmetric: another port toward everybody; another NAT behind it",
      "│  direct",
      "the other machine  198.51.100.7:4000",
    ]);
  });

  test("relayed: each relay stands at the end that uses it; in a direct path there is none", () => {
    const relayed = { ...symmetric, relay: "192.0.2.1:50000" };
    const names = (lines: readonly string[]) => lines.map((line) => line.split("  ")[0]).filter((name) => name !== "│");
    assert.deepEqual(names(picture("relayed", cone, relayed)), [
      "this machine",
      "NAT",
      "relay",
      "NAT",
      "the other machine",
    ]);
    assert.deepEqual(names(picture("relayed", relayed, relayed)).filter((name) => name === "relay").length, 2);
    assert.ok(!names(picture("direct", cone, relayed)).includes("relay"));
  });

  test("failed: it ends in between, and what nobody knows is unknown", () => {
    const lines = picture("failed", { ...symmetric, noUdp: true }, {});
    assert.match(lines[0]!, /no UDP gets out/);
    assert.ok(lines.includes("✗  nothing gets through"));
    assert.equal(lines.at(-1), "the other machine  unknown");
  });
});

describe("advice", () => {
  const why = (own: End, peer: End): string => adviseOnRelayed({ own, peer }).join(" ");

  test("it says whose NAT or firewall it is", () => {
    assert.match(why(symmetric, symmetric), /both are behind one NAT/);
    assert.match(
      why(symmetric, { ...symmetric, outside: "203.0.113.99:1" }),
      /NATs of both ends are symmetric.* set both NATs/,
    );
    assert.match(why(symmetric, cone), /this machine's NAT gives.* set the NAT here/);
    assert.match(why(cone, symmetric), /the other machine's NAT gives.* set the NAT there/);
    assert.match(why({ ...cone, noUdp: true }, cone), /this machine's network does not let UDP out/);
    assert.match(why(cone, { ...symmetric, noUdp: true }), /the other machine's network does not let UDP out/);
    assert.match(why(cone, { outside: "203.0.113.99:1" }), /does not say why/);
  });

  test("a failure is not explained twice; relays that failed are named", () => {
    const ends = { own: symmetric, peer: cone };
    const known = adviseOnFailed(ends, report, cause("both-map-by-destination"));
    assert.deepEqual(known, [cause("both-map-by-destination").help]);
    const relayFailures = ["No allocation at turn:192.0.2.1."];
    const [first, second, third] = adviseOnFailed(ends, { relayFailures }, cause("no-answer"));
    assert.match(first!, /this machine's NAT/);
    assert.match(second!, /No allocation at turn:192\.0\.2\.1/);
    assert.equal(third, cause("no-answer").help);
  });
});

describe("summaries", () => {
  const summary = {
    end: { ...cone, relay: "[2001:db8::1]:50000" },
    heard: { packets: 250, jitter: 1.5 },
    choice: "best-of-all",
  } as const;

  test("what one end says the other reads", () => {
    assert.deepEqual(parseSummary(formatSummary(summary)), summary);
  });

  test("nothing but addresses and known words gets on the screen", () => {
    const spoilt = (end: object) => parseSummary(JSON.stringify({ ...summary, end }));
    for (const host of ["\u001b[2J", "10.0.0.1:99999", "example.org:80", "x".repeat(100), 7]) {
      assert.equal(spoilt({ host }), undefined, String(host));
    }
    assert.equal(spoilt({ nat: { kind: "\u001b[2J" } }), undefined);
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseSummary(text)));
  });

  test("the reason is that of the end which decided", () => {
    const theirs = parseSummary(formatSummary(summary));
    assert.equal(decidedBecause(choice("peer-nominated"), theirs).code, "best-of-all");
    assert.equal(decidedBecause(choice("peer-nominated"), undefined).code, "peer-nominated");
    assert.equal(decidedBecause(choice("better-failed"), theirs).code, "better-failed");
  });
});

describe("figures", () => {
  const none = { lost: 0, transit: undefined };
  const roundTrip = { min: 20, median: 40, p95: 60, max: 80, jitter: 1, worstJitter: 2 };
  const echo = { sent: 100, lost: 10, reordered: 0, roundTrip, there: none, back: none };

  test("what the other end has heard tells the two ways apart", () => {
    const { there, back } = figuresOf(echo, { packets: 100, jitter: 1 }, { packets: 97, jitter: 2 });
    assert.deepEqual([there.lost, back.lost], [3, 7]);
    const lied = figuresOf(echo, { packets: 100, jitter: 1 }, { packets: 1_000, jitter: 2 });
    assert.deepEqual([lied.there.lost, lied.back.lost], [0, 10]);
  });

  test("speech is judged by the worse way", () => {
    const figures = figuresOf(echo, { packets: 100, jitter: 45 }, { packets: 97, jitter: 2 });
    const { level, delay, jitter, loss } = qualityOf(figures)!;
    assert.deepEqual([level, delay, jitter], ["poor", 20, 45]);
    assert.equal(loss.toFixed(3), (7 / 97).toFixed(3));
  });
});
