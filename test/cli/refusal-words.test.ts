/** Who was refused lately, in words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalLines } from "../../src/cli/refusal-words.ts";
import type { ShownRefusal } from "../../src/server/services/sip/shown.ts";

const now = Date.parse("2026-03-01T12:10:00.000Z");

const scan: ShownRefusal = {
  why: "scanner",
  name: null,
  transport: "udp",
  remote: "203.0.113.9:5071",
  count: 41,
  last: "2026-03-01T12:08:00.000Z",
};

test("each says who, from where, why, how often and when", () => {
  const wrong = { ...scan, why: "wrong-password", name: "1001", remote: "[2001:db8::7]:5060", count: 1 } as const;
  assert.deepEqual(refusalLines([scan, wrong], now), [
    "refused lately:",
    "    203.0.113.9 · scanner · 41 times · 2 min ago",
    "    [2001:db8::7] · 1001 · wrong password · once · 2 min ago",
  ]);
  assert.deepEqual(refusalLines([], now), []);
});

test("what a stranger calls itself does nothing to a terminal", () => {
  const [, line] = refusalLines([{ ...scan, name: "\x1b[2Jroot\r\n· scanner" }], now);
  assert.match(line ?? "", /^ {4}203\.0\.113\.9 · \?\[2Jroot\?\?\? scanner · /);
});

test("of many the latest are shown, and the others counted", () => {
  const lines = refusalLines(Array<ShownRefusal>(30).fill(scan), now);
  assert.deepEqual([lines.length, lines.at(-1)], [22, "    and 10 more"]);
});
