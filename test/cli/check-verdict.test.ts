/** What measurements at relays are taken for, and said in: no network is needed to judge. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeFamilies, judgeFamilies } from "../../src/cli/check/families.ts";
import { parseIceServers } from "../../src/cli/check/ice-servers.ts";
import { judgeLengths } from "../../src/cli/check/lengths.ts";
import { chooseProxy } from "../../src/cli/check/proxy.ts";
import { judgeQuality } from "../../src/cli/check/quality.ts";
import { adviceOn } from "../../src/cli/check/refusals.ts";
import type { RelayTrial } from "../../src/cli/check/relay-trial.ts";
import { judgeRelays } from "../../src/cli/check/relay-verdict.ts";
import { describePing, describeRelay } from "../../src/cli/check/relay-words.ts";
import { distinctTargets, type Target, targetsThroughProxy, turnUriOf } from "../../src/cli/check/targets.ts";
import { judge, type Measurements } from "../../src/cli/check/verdict.ts";
import { describeVerdict } from "../../src/cli/check/words.ts";
import { parseIp } from "../../src/core/base/address.ts";
import type { EchoFigures, PassFigures } from "../../src/core/media/probe-stream.ts";
import { type BehaviorReport, known, unknown } from "../../src/core/stun/behavior/report.ts";

const address = parseIp("198.51.100.1", 3478)!;

function target(transport: Target["transport"], changes: Partial<Target> = {}): Target {
  const uri = `turn:turn.example.org?${transport}`;
  return { uri, transport, host: "turn.example.org", address, relays: true, ...changes };
}

const transit = (ms: number, jitter = 0) => ({ min: ms, median: ms, p95: ms, max: ms, jitter, worstJitter: jitter });

interface Path {
  readonly ms?: number;
  readonly jitter?: number;
  readonly there?: number;
  readonly back?: number;
}

function figures({ ms = 40, jitter = 0, there = 0, back = 0 }: Path): EchoFigures {
  const pass = (lost: number): PassFigures => ({ lost, transit: transit(ms / 2, jitter) });
  const lost = there + back;
  const roundTrip = lost === 100 ? undefined : transit(ms, jitter);
  return { sent: 100, lost, reordered: 0, roundTrip, there: pass(there), back: pass(back) };
}

function echoed(at: Target, path: Path = {}): RelayTrial {
  return {
    target: at,
    state: "echoed",
    relayed: parseIp("198.51.100.1", 50_000)!,
    server: address,
    figures: figures(path),
  };
}

function failed(at: Target, state: "refused" | "unreached" | "allocated", reason: string): RelayTrial {
  return {
    target: at,
    state,
    failure: { stage: state === "allocated" ? "bind" : "allocate", reason, detail: undefined },
  };
}

const nothing: Measurements = { udp: [], reports: [], families: [], pings: [], streams: [], relays: [] };
const [udp, tcp, tls] = [target("udp"), target("tcp"), target("tls", { address: { ...address, port: 443 } })];

describe("quality", () => {
  test("is good up to ITU-T G.114's 150 ms one way, 30 ms of jitter and 2 % of loss, and says what is past them", () => {
    const judged = (path: Path) => judgeQuality(figures(path))!;
    assert.deepEqual(judged({ ms: 300, jitter: 30, there: 2 }), {
      level: "good",
      delay: 150,
      jitter: 30,
      loss: 0.02,
      notices: [],
    });
    const slow = judged({ ms: 420 });
    assert.equal(slow.level, "poor");
    assert.match(slow.notices.join(), /talk over each other: 210 ms one way.*150 ms at most/);
    assert.match(judged({ ms: 900 }).notices.join(), /450 ms one way.*400 ms at the very most/);
    assert.match(judged({ jitter: 31 }).notices.join(), /31 ms early or late/);
    assert.match(judged({ there: 4 }).notices.join(), /break up: 4\.0 % of the packets/);
    // Of 90 that arrived 18 were lost on the way back.
    assert.deepEqual([judged({ there: 10, back: 18 }).loss, judged({ there: 50, back: 5 }).level], [0.2, "unusable"]);
    assert.equal(judgeQuality(figures({ there: 100 })), undefined);
  });
});

describe("relays", () => {
  test("the best that works is told, with its quality; poor quality is said and what may mend it", () => {
    const good = judge({ ...nothing, udp: [udp], relays: [echoed(tcp), echoed(udp)] });
    assert.deepEqual([good.calls, good.relay, good.quality?.over], ["relayed", "works", "UDP"]);
    assert.match(good.works.join(), /over UDP, TCP: the credentials are good/);
    const words = describeVerdict(good).join("\n");
    assert.match(
      words,
      /^Calls will work from here through the relay\.\nSpeech through the relay over UDP will be good: 20 ms/,
    );
    const poor = judge({ ...nothing, relays: [echoed(udp, { there: 5 })] });
    assert.equal(poor.calls, "relayed");
    assert.match(
      describeVerdict(poor).join("\n"),
      /will be bad.*loss 5\.0 %[\s\S]*break up[\s\S]*a cable instead of wireless/,
    );
    assert.match(judge({ ...nothing, relays: [echoed(udp, { ms: 700 })] }).change.join(), /relay that is nearer/);
  });

  test("one that is reached and refuses is no relay, nor is one through which nothing comes", () => {
    const streams = [{ target: tcp, reached: { ms: 10, roundTrip: 3, mapped: undefined } }];
    const refused = judge({ ...nothing, streams, relays: [failed(tcp, "refused", "unauthenticated")] });
    assert.deepEqual([refused.calls, refused.relay], ["no", "refuses"]);
    const lost = judge({ ...nothing, streams, relays: [echoed(tcp, { there: 100 })] });
    assert.deepEqual([lost.calls, lost.relay], ["no", "broken"]);
    assert.match(lost.fails.join(), /of 100 packets 100 did not come back/);
    const half = judge({ ...nothing, streams, relays: [echoed(tcp, { there: 40 })] });
    assert.deepEqual([half.calls, half.relay], ["no", "broken"]);
    const untried = judge({ ...nothing, streams });
    assert.deepEqual([untried.calls, untried.relay], ["relayed", "untried"]);
    const certified = judge({
      ...nothing,
      streams: [{ target: tls, reached: { ...streams[0]!.reached, certificateProblem: "EXPIRED" } }],
    });
    assert.equal(certified.calls, "no", "browsers do not use it");
  });

  test("one that lets in but does not relay to itself is worth what cannot be measured", () => {
    const { calls, fails, quality } = judge({ ...nothing, relays: [failed(udp, "allocated", "forbidden")] });
    assert.deepEqual([calls, quality], ["relayed", undefined]);
    assert.match(fails.join(), /does not relay from one of its clients to another \(403\)/);
  });

  test("where only TLS or only the proxy leads to it, the application is told what to name", () => {
    const seen = { ...nothing, udp: [udp], relays: [failed(udp, "unreached", "timed-out"), echoed(tls)] };
    assert.match(
      judgeRelays(seen).change.join(),
      /Name turns:turn\.example\.org:443\?transport=tcp in your application: from here only TLS/,
    );
    assert.match(judgeRelays(seen).fails.join(), /over UDP: no answer/);
    const two = { ...nothing, udp: [udp], relays: [echoed(tls), echoed(tcp)] };
    assert.match(
      judgeRelays(two).change.join(),
      /Name turn:turn\.example\.org:3478\?transport=tcp and turns:\S+443\S+ in .*only TCP and TLS lead to/,
    );
    const proxied = { ...nothing, relays: [echoed({ ...tls, throughProxy: true })] };
    assert.match(judgeRelays(proxied).change.join(), /the proxy, unless it takes the system's/);
    assert.deepEqual(judgeRelays({ ...nothing, udp: [udp], relays: [echoed(udp), echoed(tls)] }).change, []);
    assert.equal(
      judge({ ...nothing, udp: [udp], relays: [echoed(udp)] }).fails.length,
      0,
      "no Binding is answered, and UDP works",
    );
  });

  test("where one family works and the other does not, the one that fails is named", () => {
    const over6 = target("udp", { address: parseIp("2001:db8::1", 3478)! });
    const { works, fails } = judgeRelays({
      ...nothing,
      relays: [echoed(udp), failed(over6, "unreached", "timed-out")],
    });
    assert.match(works.join(), /over UDP: the credentials/);
    assert.match(fails.join(), /over UDP and IPv6: no answer/);
  });

  test("every refusal says why, with its number, and what to do", () => {
    for (const [reason, why] of [
      ["unauthenticated", /401/],
      ["forbidden", /403/],
      ["allocation-mismatch", /437/],
      ["stale-nonce", /438/],
      ["family-not-supported", /440/],
      ["wrong-credentials", /441/],
      ["transport-not-supported", /442/],
      ["quota-reached", /486/],
      ["server-error", /500/],
      ["insufficient-capacity", /508/],
      ["try-alternate", /300/],
    ] as const) {
      const advice = adviceOn(failed(udp, "refused", reason) as Parameters<typeof adviceOn>[0]);
      assert.match(advice.why, why);
      assert.ok((advice.change ?? "").length > 10, reason);
    }
    const other = adviceOn(failed(udp, "refused", "refused") as Parameters<typeof adviceOn>[0]);
    assert.match(other.why, /it refuses/);
  });

  test("the words of an echo name its parts", () => {
    const words = describeRelay(echoed(udp, { ms: 90, there: 3, back: 1 }), 40).join("\n");
    for (const part of [
      /^Relay over UDP, 198\.51\.100\.1:3478$/m,
      /round trip +90 ms at best, 90 median, 90 for 95 %/,
      /one way +45 ms; the server alone answers in 40 ms, so the relay adds 5\.0 ms/,
      /loss +4\.0 %, 4 of 100: 3 there, 1 back; none out of order/,
    ]) {
      assert.match(words, part);
    }
    const elsewhere = { ...echoed(udp), server: parseIp("203.0.113.9", 3478)! };
    assert.match(
      describeRelay(elsewhere, undefined).join("\n"),
      /by 203\.0\.113\.9:3478, where this server sends its clients/,
    );
    assert.match(describeRelay(echoed(udp, { there: 100 }), 1).join("\n"), /100 %: none of 100 came back/);
    assert.match(describeRelay(failed(udp, "unreached", "timed-out"), 1).join("\n"), /not tried: no answer/);
    const ping = { target: udp, figures: figures({ ms: 8, there: 3 }) };
    assert.equal(describePing(ping), "UDP to 198.51.100.1:3478: answers in 8.0 ms, jitter 0.0 ms, 3 of 100 lost");
  });
});

describe("families and lengths", () => {
  const answering = (family: 4 | 6, mapped: boolean) =>
    ({
      family,
      servers: [{ server: address, mapped: mapped ? address : undefined, other: undefined }],
    }) as unknown as BehaviorReport;

  test("IPv6 that leads nowhere is worse than none, and a family that was not tried is said", () => {
    const both = [
      { family: 4, asked: "yes" },
      { family: 6, asked: "yes" },
    ] as const;
    const half = judgeFamilies({ families: both, reports: [answering(4, true), answering(6, false)] });
    assert.match(half.change.join(), /Mend IPv6/);
    assert.deepEqual(judgeFamilies({ families: both, reports: [answering(4, true), answering(6, true)] }).fails, []);
    const one = [both[0], { family: 6, asked: "no-local-address" }] as const;
    assert.match(
      describeFamilies({ families: one, reports: [] }).join(),
      /this host has no IPv6 address to ask from: IPv4 only/,
    );
    const named = [both[0], { family: 6, asked: "no-server" }] as const;
    assert.match(
      describeFamilies({ families: named, reports: [] }).join(),
      /servers that were named have IPv4 addresses only/,
    );
  });

  test("long datagrams that are lost mean a tunnel, and frozen video; fragments mean SIP", () => {
    const judged = (bytes: number, lost: number | undefined, fragments: boolean) => {
      const longestDatagram = known({ bytes, passes: "outward" as const, lost });
      return judgeLengths({ longestDatagram, fragments: known(fragments) } as unknown as BehaviorReport);
    };
    const tunnel = judged(1420, 1452, true);
    assert.match(tunnel.fails.join(), /Video.*of 1420 bytes pass and of 1452 are lost/);
    assert.match(tunnel.change.join(), /MTU of this network to 1420/);
    assert.match(judged(1500, undefined, false).fails.join(), /need fragments are lost/);
    assert.deepEqual(judged(1500, undefined, true).fails, []);
    const silent = { longestDatagram: unknown("no-long-answer"), fragments: unknown("no-long-answer") };
    assert.deepEqual(judgeLengths(silent as unknown as BehaviorReport).fails, []);
  });
});

describe("what the caller gives", () => {
  test("iceServers as JSON, as the answer of /credentials, as JavaScript", () => {
    const uris = (text: string) =>
      parseIceServers(text).map(({ uri, login }) => `${uri} ${login?.username} ${login?.password.reveal()}`);
    const entry = '{"urls":["stun:a","turn:a"],"username":"u:1","credential":"p+/="}';
    const found = ["stun:a u:1 p+/=", "turn:a u:1 p+/="];
    assert.deepEqual(uris(`[${entry}]`), found);
    assert.deepEqual(uris(entry), found);
    assert.deepEqual(uris(`{"username":"u:1","credential":"x","ttl":9,"urls":["no"],"iceServers":[${entry}]}`), found);
    const script =
      '// Good for a day.\nconst iceServers = [\n  { urls: \'stun:b\' },\n  {\n    urls: [\n      "turn:a",\n    ],\n    username: "u",\n    credential: "p",\n  }, // The last.\n];\n';
    assert.deepEqual(uris(script), ["stun:b undefined undefined", "turn:a u p"]);
    for (const text of ["", "[1]", "{", '{"urls":1}', "hello"]) {
      assert.throws(() => parseIceServers(text), { code: "bad-ice-servers" }, text);
    }
    assert.ok(!JSON.stringify(parseIceServers(entry)).includes("p+/="), "a password is never printed");
  });

  test("the proxy is the flag's, or the environment's with its exceptions", () => {
    const env = { https_proxy: "proxy.example:3128", no_proxy: "intra.example, .lab.example" };
    const choose = chooseProxy(undefined, env);
    assert.equal(choose("turn.example.org"), "http://proxy.example:3128");
    const excepted = ["intra.example", "turn.intra.example", "turn.lab.example", "127.0.0.1", "localhost"].map(choose);
    assert.deepEqual(excepted, Array(5).fill(undefined));
    assert.equal(chooseProxy("http://other:1", env)("127.0.0.1"), "http://other:1");
    assert.equal(chooseProxy(false, env)("turn.example.org"), undefined);
    assert.equal(chooseProxy(undefined, { HTTPS_PROXY: "http://p:1", NO_PROXY: "*" })("a"), undefined);
    assert.throws(() => chooseProxy("socks5://p:1", {}), { code: "bad-proxy" });
  });

  test("each server is asked once for each transport, as a relay where one URI says so", () => {
    const stun = target("udp", { uri: "stun:turn.example.org", relays: false });
    assert.deepEqual(distinctTargets([stun, udp, udp, tcp]), [udp, tcp]);
    const proxied = targetsThroughProxy("turn:turn.example.org");
    assert.deepEqual(proxied.map(turnUriOf), ["turn:turn.example.org:3478?transport=tcp"]);
    assert.deepEqual(targetsThroughProxy("turns:[2001:db8::1]").map(turnUriOf), [
      "turns:[2001:db8::1]:5349?transport=tcp",
    ]);
    assert.deepEqual(targetsThroughProxy("stun:turn.example.org"), []);
  });
});
