/** Phones and calls in words: the ones that help when something is wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { callLines } from "../../src/cli/calls.ts";
import { phoneLines } from "../../src/cli/registrations.ts";
import { callWords, phoneWords, streamWords, troubleWords, wayWords } from "../../src/cli/sip-words.ts";
import type { ShownCall, ShownRegistration, ShownStream, ShownTrouble } from "../../src/server/services/sip/shown.ts";

const now = Date.parse("2026-03-01T12:10:00.000Z");

const phone: ShownRegistration = {
  user: "bob",
  contact: "sip:bob@192.168.1.5",
  transport: "udp",
  remote: "198.51.100.7:40000",
  through: null,
  userAgent: null,
  registered: "2026-03-01T12:05:00.000Z",
  expires: "2026-03-01T12:15:00.000Z",
  state: "reachable",
  unanswered: 0,
  answered: null,
};

test("a phone's state says whether calls reach it, and what keeps it known", () => {
  assert.equal(phoneWords(phone, now), "registered, has not answered a probe yet");
  const answered = "2026-03-01T12:09:48.000Z";
  assert.equal(phoneWords({ ...phone, answered }, now), "reachable, answered 12 s ago");
  assert.equal(
    phoneWords({ ...phone, answered, unanswered: 1 }, now),
    "reachable, though the last probe was not answered",
  );
  const dead = { ...phone, state: "unanswered", unanswered: 2 } as const;
  assert.equal(
    phoneWords(dead, now),
    "has not answered 2 probes; re-registration alone, every 600 s or so, keeps it known",
  );
  const brisk = { ...dead, expires: "2026-03-01T12:05:25.000Z" };
  assert.equal(phoneWords(brisk, now), "has not answered 2 probes", "it registers sooner than a NAT forgets");
  assert.equal(phoneWords({ ...phone, transport: "tls" }, now), "reachable while its connection is open");
  assert.match(phoneWords({ ...phone, state: "flow-lost" }, now), /^connection lost; .* by 12:15:00 UTC$/);
});

test("of a phone behind another proxy it is said what cannot be done for it from here", () => {
  assert.equal(wayWords(phone), undefined);
  assert.equal(
    wayWords({ ...phone, through: "sip.provider.net:5070" }),
    "came through sip.provider.net:5070, so its NAT cannot be kept open from here",
  );
});

const stream: ShownStream = {
  party: "callee",
  kind: "audio",
  isHeld: false,
  isRefused: false,
  lost: 0,
  jitterMs: 1.5,
  payloadType: 0,
  hearing: null,
  ice: null,
  local: "203.0.113.1:20000",
  remote: "198.51.100.7:7000",
  by: "learned",
  heard: "2026-03-01T12:09:59.900Z",
  packetsIn: 500,
  bytesIn: 86_000,
  packetsOut: 500,
  bytesOut: 86_000,
  drops: {},
  stranger: null,
  control: null,
};

const call: ShownCall = {
  number: 1,
  callId: "c",
  state: "acknowledged",
  caller: { name: "alice", transport: "udp", remote: "192.0.2.9:5060" },
  called: "bob",
  callee: { name: "bob", transport: "tls", remote: "198.51.100.7:40000" },
  started: "2026-03-01T12:08:30.000Z",
  answered: "2026-03-01T12:08:40.000Z",
  ended: null,
  end: null,
  isResumed: false,
  troubles: [],
  direct: null,
  site: null,
  streams: [stream],
};

test("a call says how long it rings or talks", () => {
  assert.equal(callWords(call, now), "talking for 1 min 20 s");
  assert.equal(callWords({ ...call, state: "ringing", answered: null }, now), "ringing for 1 min 30 s");
  assert.equal(callWords({ ...call, state: "answered" }, now), "answered, not acknowledged, for 1 min 20 s");
});

test("a call whose media is not relayed says where that goes", () => {
  const within = callWords({ ...call, direct: "site", site: "office" }, now);
  assert.equal(within, "talking for 1 min 20 s; media goes direct, within the site office");
  const ringing = callWords({ ...call, state: "ringing", answered: null, direct: "policy" }, now);
  assert.equal(ringing, "ringing for 1 min 30 s; goes direct once answered, end not observed");
  const over = { ...call, state: "ended", ended: "2026-03-01T12:09:40.000Z", end: "hung up by caller" } as const;
  assert.equal(callWords(over, now), "talked for 1 min 0 s: hung up by alice");
  assert.equal(
    callWords({ ...over, direct: "ice" }, now),
    "talked for 1 min 0 s: hung up by alice; media went direct (ICE)",
  );
  const past = { ...over, end: "end not observed", direct: "policy" } as const;
  assert.equal(callWords(past, now), "answered after 10 s, went direct: end not observed");
});

test("a call that is over says how long it was, and by whom it ended", () => {
  const over = { ...call, state: "ended", ended: "2026-03-01T12:09:40.000Z", end: "hung up by callee" } as const;
  assert.equal(callWords(over, now), "talked for 1 min 0 s: hung up by bob");
  assert.equal(callWords({ ...over, callee: null, called: "echo" }, now), "talked for 1 min 0 s: hung up by echo");
  assert.equal(callWords({ ...over, end: "no media came" }, now), "talked for 1 min 0 s: no media came");
  const never = { ...over, answered: null, end: "cancelled by caller" };
  assert.equal(callWords(never, now), "not answered, over after 1 min 10 s: cancelled by alice");
  const direct = { ...over, direct: "policy", end: "end not observed" } as const;
  assert.equal(callWords(direct, now), "answered after 10 s, went direct: end not observed");
  assert.deepEqual(
    streamWords({ ...stream, heard: "2026-03-01T12:09:39.000Z", remote: null }, over, now).slice(1),
    ["bob heard nothing: where it is gets known when its first packets come"],
    "of silence after its end nothing is said",
  );
});

test("a call that began before a restart says so", () => {
  const since = "it began before a restart, or was given up for want of sound, and is known again since then";
  assert.equal(callWords({ ...call, isResumed: true }, now), `talking for 1 min 20 s; ${since}`);
  const over = { ...call, isResumed: true, ended: "2026-03-01T12:09:40.000Z", end: "hung up by caller" };
  assert.equal(callWords(over, now), `talked for 1 min 0 s: hung up by alice; ${since}`);
});

test("each trouble says whose it is, when, and what it usually comes from", () => {
  const said = (what: ShownTrouble["what"], isOver = false, others: readonly ShownTrouble[] = []): string =>
    troubleWords({ what, name: "bob", at: "2026-03-01T12:09:15.000Z", isOver }, others);
  assert.match(said("never-acknowledged"), /^bob did not acknowledge .* \(12:09:15 UTC\).*Record-Route.*ALG.*TLS/);
  const routeless = { what: "no-route", name: "carol", at: "2026-03-01T12:08:43.000Z", isOver: false } as const;
  assert.match(said("never-acknowledged", false, [routeless]), /elsewhere, as carol leaves out Record-Route$/);
  assert.match(said("no-route"), /^bob leaves out Record-Route/);
  assert.match(said("flow-lost"), /^the connection of bob was lost \(12:09:15 UTC\): .*registers again$/);
  assert.match(said("flow-lost", true), /^the connection of bob was lost \(12:09:15 UTC\), and is back$/);
  assert.match(said("unreachable"), /^nothing reached bob \(12:09:15 UTC\): /);
  assert.match(said("no-media"), /^no sound .* \(12:09:15 UTC\)/);
  assert.match(said("no-ports"), /media-ports/);
});

const troubles = (given: Partial<ShownStream>, of: ShownCall = call): string[] =>
  streamWords({ ...stream, ...given }, of, now).slice(1);

test("one-way audio says who is not heard, and what speaks for which cause", () => {
  assert.deepEqual(streamWords(stream, call, now), [
    "audio from bob to 203.0.113.1:20000: 500 packets, 0 lost, jitter 1.5 ms",
  ]);
  assert.deepEqual(troubles({ packetsIn: 0, heard: null, remote: null, by: null }), [
    "nothing heard from bob: it sends nothing, or a firewall drops UDP to 203.0.113.1:20000",
    "bob hears nothing: where it is gets known when its first packets come",
  ]);
  for (const silent of [{ packetsIn: 0, heard: null }, { heard: "2026-03-01T12:09:15.000Z" }]) {
    assert.deepEqual(troubles({ ...silent, ice: "passes" }), ["media goes direct (ICE)"]);
  }
  assert.deepEqual(troubles({ ice: "passes" }), []);
  assert.deepEqual(troubles({ drops: { unsealed: 2 } }), [
    "2 connectivity checks dropped that were not sealed with this call's passwords",
  ]);
  assert.deepEqual(troubles({ heard: "2026-03-01T12:09:15.000Z" }), ["nothing heard from bob since 12:09:15 UTC"]);
  assert.deepEqual(troubles({ drops: { stranger: 40 }, stranger: "203.0.113.99:5000" }), [
    "40 packets dropped that were not bob's, the last of them from 203.0.113.99:5000",
  ]);
  assert.deepEqual(troubles({ packetsIn: 0, heard: null, drops: { stranger: 40 }, stranger: "203.0.113.99:5000" }), [
    "nothing heard from bob at its own address",
    "40 packets dropped that were not bob's, the last of them from 203.0.113.99:5000",
  ]);
  assert.deepEqual(troubles({ drops: { "other-port": 3, unnegotiated: 2, learning: 2 } }), [
    "3 packets dropped that came from bob's address and another port",
    "2 packets dropped of a codec that was not agreed on",
  ]);
});

test("what a phone reports of what it hears is said where it is bad", () => {
  const hearing = { heard: "2026-03-01T12:09:58.000Z", fractionLost: 0, lost: 4, jitterMs: 2, deafReports: 0 };
  assert.deepEqual(troubles({ hearing }), []);
  assert.deepEqual(troubles({ hearing: { ...hearing, fractionLost: 0.009 } }), []);
  assert.deepEqual(troubles({ hearing: { ...hearing, fractionLost: 0.121, lost: 480 } }), [
    "bob hears the other side with 12 % lost (480 packets in all)",
  ]);
  const deaf = { ...hearing, fractionLost: 0.121, deafReports: 1 };
  assert.deepEqual(troubles({ hearing: deaf }), ["bob reports that it hears nothing"]);
  assert.deepEqual(troubles({ hearing: deaf, isHeld: true }), ["on hold"]);
  assert.deepEqual(troubles({ hearing: deaf }, { ...call, state: "ringing", answered: null }), []);
});

test("who is on hold, or rings, is not complained of", () => {
  assert.deepEqual(troubles({ isHeld: true, packetsIn: 0, heard: null }), ["on hold"]);
  assert.deepEqual(
    troubles({ packetsIn: 0, heard: null, remote: null }, { ...call, state: "ringing", answered: null }),
    [],
  );
  assert.deepEqual(streamWords({ ...stream, isRefused: true, kind: "video" }, call, now), ["video from bob: refused"]);
});

test("what phones, callers and providers write does nothing to a terminal", () => {
  const evil = "\x1b]0;x\x07\r\n\x9b2J";
  const asked = { ...phone, contact: `sip:${evil}`, userAgent: evil, through: evil };
  const over = { ...call, callee: null, called: evil, ended: "2026-03-01T12:09:40.000Z", end: `refused: 486 ${evil}` };
  const said = { what: "unreachable", name: evil, at: "2026-03-01T12:09:15.000Z", isOver: false } as const;
  const lines = [...phoneLines(asked, now), ...callLines({ ...over, troubles: [said] }, now)];
  assert.deepEqual(
    lines.filter((line) => /\p{Cc}/u.test(line)),
    [],
  );
  assert.match(lines[1] ?? "", /^ {4}says it is sip:\?\]0;x/);
});
