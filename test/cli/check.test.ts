/** `postern check`, asking a daemon on loopback, and what it says about measurements that loopback does not give. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judgeLayers } from "../../src/cli/check/layers.ts";
import { judgeLengths } from "../../src/cli/check/lengths.ts";
import { findTargets, type Target } from "../../src/cli/check/targets.ts";
import { judge, type Measurements } from "../../src/cli/check/verdict.ts";
import { describeReport, describeVerdict } from "../../src/cli/check/words.ts";
import { formatAddress, parseIp } from "../../src/core/base/address.ts";
import {
  type BehaviorReport,
  known,
  type LongestDatagram,
  type Mapping,
  type NatLayers,
  unknown,
} from "../../src/core/stun/behavior/report.ts";
import { startChild } from "../support/child.ts";
import { postern, startDaemon } from "../support/daemon.ts";
import { freePort } from "../support/ports.ts";

async function check(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = await startChild(postern("check", ...args));
  const { code } = await child.ended({ within: 60_000 });
  return { code, output: child.output() };
}

describe("asked of a daemon", () => {
  test("says what it measured, in words and in JSON, and that calls work", async () => {
    const alternate = await freePort();
    await using daemon = await startDaemon({
      listen: ["127.0.0.1", "127.0.0.2"],
      flags: ["--nat-discovery", "auto", "--alternate-port", `${alternate}`],
    });
    const { port, tlsPort } = daemon.ports;
    const uris = [`stun:127.0.0.1:${port}`, `turns:127.0.0.1:${tlsPort}`];
    const words = await check(...uris);
    assert.equal(words.code, 0, words.output);
    assert.match(words.output, /kind +no NAT and no filter/);
    assert.match(words.output, new RegExp(`TCP to 127.0.0.1:${port}: answers`));
    assert.match(words.output, new RegExp(`TLS to 127.0.0.1:${tlsPort}: answers.*SELF_SIGNED`));
    assert.match(words.output, /Calls will work from here inside this network; no server outside it was asked\./);
    assert.ok(!words.output.includes("\u001b"), "nothing for terminals where there is none");

    const { code, output } = await check("--json", ...uris);
    const told = JSON.parse(output);
    assert.equal(code, 0);
    assert.equal(told.reports[0].servers[0].other, `127.0.0.2:${alternate}`);
    assert.deepEqual(told.reports[0].tcpMapping, { known: true, value: "endpoint-independent" });
    assert.equal(told.verdict.calls, "direct");
    assert.equal(told.verdict.inside, true);
    assert.equal(told.streams.length, 2);
  });

  test("says that nothing answers, and ends with 2; a mistake of the caller's is 1", async () => {
    const silent = await check(`stun:127.0.0.1:${await freePort()}`);
    assert.equal(silent.code, 2);
    assert.match(silent.output, /Anything over UDP: no server answered/);
    const wrong = await check("stun:");
    assert.equal(wrong.code, 1);
    assert.match(wrong.output, /is no STUN URI/);
    const bare = await check("192.0.2.2");
    assert.equal(bare.code, 1);
    assert.match(bare.output, /"192\.0\.2\.2" is no server's URI: it begins with stun:/);
    const nameless = await check("turn:nobody.invalid?transport=tcp");
    assert.equal(nameless.code, 1);
    assert.match(nameless.output, /has no server for turn:nobody\.invalid/);
    for (const [args, words] of [
      [["stun:127.0.0.1", "--watch", "--every", "30d"], /no more than 24h/],
      [["turn:127.0.0.1", "--user", ""], /The user name is empty/],
      [["--ice-servers", "-"], /iceServers block.*empty/],
    ] as const) {
      const mistaken = await check(...args);
      assert.equal(mistaken.code, 1, mistaken.output);
      assert.match(mistaken.output, words);
    }
    const dtls = await check("turns:127.0.0.1?transport=udp");
    assert.equal(dtls.code, 1);
    assert.match(dtls.output, /turns:127\.0\.0\.1\?transport=udp means DTLS.*leave/);
  });
});

test("a URI is one server for each transport that it allows, and family", async () => {
  const found = async (uri: string) =>
    (await findTargets(uri)).map(
      ({ transport, address, relays }) => `${transport} ${formatAddress(address)} ${relays}`,
    );
  assert.deepEqual(await found("stun:192.0.2.1"), ["udp 192.0.2.1:3478 false", "tcp 192.0.2.1:3478 false"]);
  assert.deepEqual(await found("stuns:192.0.2.1"), ["tls 192.0.2.1:5349 false"]);
  assert.deepEqual(await found("turn:[2001:db8::1]:99?transport=tcp"), ["tcp [2001:db8::1]:99 true"]);
  assert.deepEqual(await found("turns:192.0.2.1:443"), ["tls 192.0.2.1:443 true"]);
  const local = await found("turn:localhost");
  assert.ok(local.includes("udp 127.0.0.1:3478 true") && local.includes("tcp 127.0.0.1:3478 true"), local.join());
  assert.equal(new Set(local).size, local.length);
});

const server = parseIp("198.51.100.1", 3478)!;
const target = (uri: string, transport: Target["transport"]): Target => {
  return { uri, transport, host: "turn.example.org", address: server, relays: uri.startsWith("turn") };
};

function report(mapping: Mapping | undefined, changes: Partial<BehaviorReport> = {}): BehaviorReport {
  const found = mapping === undefined ? unknown("no-answer") : known(mapping);
  return {
    family: 4,
    local: parseIp("10.0.0.2", 5000)!,
    servers: [{ server, mapped: mapping && parseIp("203.0.113.10", 5000)!, other: undefined }],
    publicAddresses: [],
    translated: mapping === undefined ? unknown("no-answer") : known(true),
    rewritten: known(false),
    mapping: found,
    filtering: unknown("one-address"),
    classicName: unknown("one-address"),
    ports: known({ pattern: "sequential", step: 2 }),
    hairpinning: known("none"),
    lifetime: known({ atLeast: 28, below: 32, refreshedByOutbound: known(true), refreshedByInbound: known(false) }),
    layers: unknown("no-evidence"),
    layerEvidence: { sharedAddress: false, gatewayAddress: unknown("gateway-silent"), filterHops: known(1) },
    passages: known([{ bytes: 1500, passes: "not" }]),
    longestDatagram: known({ bytes: 1492, passes: "both-ways", lost: 1500 }),
    fragments: known(false),
    tcpMapping: unknown("no-tcp"),
    ...changes,
  };
}

test("NATs behind NATs are said with what shows them", () => {
  const said = (changes: Partial<BehaviorReport>) => describeReport(report("endpoint-independent", changes)).join("\n");
  const evidence = report(undefined).layerEvidence;
  const gatewayAddress = known(parseIp("100.64.1.2")!);
  const told = { ...evidence, gatewayAddress };
  const far = { ...evidence, filterHops: known(3) };
  assert.match(said({ layers: known("several"), layerEvidence: told }), /NATs +several: .*100\.64\.1\.2.*CGN/);
  assert.match(said({ layers: known("one"), layerEvidence: told }), /NATs +one: .*100\.64\.1\.2/);
  assert.match(said({ layers: known("probably-several"), layerEvidence: far }), /outermost is 3 hops away.*probably/);
  assert.match(said({ layers: known("probably-several"), layerEvidence: told }), /100\.64\.1\.2 is not the one seen/);
  const judged = (value: NatLayers) => judgeLayers(report("endpoint-independent", { layers: known(value) }));
  assert.match(judged("several").fails.join(), /Port forwarding/);
  assert.match(judged("provider").change.join(), /public IPv4 address/);
  for (const value of ["one", "probably-several"] as const) assert.deepEqual(judged(value), { fails: [], change: [] });
  const without = { ...evidence, gatewayAddress: unknown("gateway-without-address") };
  assert.match(
    said({ layers: known("probably-several"), layerEvidence: without }),
    /router says that it has no public/,
  );
  assert.match(said({ layers: known("provider") }), /NATs +the provider's \(CGN\), or a VPN's: 10\.0\.0\.2/);
  const hidden = { ...evidence, filterHops: unknown("hidden-by-filter") };
  assert.match(said({ layerEvidence: hidden }), /NATs +unknown: nothing shows another NAT/);
  const firewall = said({ translated: known(false), layers: unknown("no-nat"), layerEvidence: far });
  assert.match(firewall, /firewall +the outermost is at hop 3/);
  assert.match(said({ longestDatagram: unknown("no-long-answer"), fragments: unknown("no-long-answer") }), /no long/);
});

test("lengths that are lost are said with what they break, and what passes is not mentioned", () => {
  const judged = (longest: LongestDatagram, fragments: boolean) =>
    judgeLengths(report("endpoint-independent", { longestDatagram: known(longest), fragments: known(fragments) }));
  const all = { bytes: 1500, passes: "both-ways", lost: undefined } as const;
  assert.deepEqual(judged(all, true), { fails: [], change: [] });
  const tunnel = judged({ bytes: 1420, passes: "both-ways", lost: 1452 }, true);
  assert.match(tunnel.fails.join(), /^Video.*1420 bytes pass and of 1452 are lost/);
  assert.match(tunnel.change.join(), /MTU of this network to 1420/);
  assert.match(judged(all, false).fails.join(), /^Datagrams that need fragments.*DTLS/);
  assert.equal(judged({ ...all, lost: 2000 }, false).fails.length, 2);
  const why = unknown("no-long-answer");
  assert.deepEqual(judgeLengths(report(undefined, { longestDatagram: why, fragments: why })), {
    fails: [],
    change: [],
  });
});

describe("the verdict", () => {
  const stun = target("stun:turn.example.org", "udp");
  const turn = target("turn:turn.example.org", "udp");
  const turns = target("turns:turn.example.org:443", "tls");
  const reached = { ms: 10, roundTrip: 3, mapped: undefined, certificateProblem: undefined };
  const nothing = { reports: [], families: [], pings: [], streams: [], relays: [] };
  const verdict = (one: Partial<Measurements>) => judge({ udp: [stun], ...nothing, ...one });

  test("one port toward everybody is direct calls; a port for each destination is none, but for a relay", () => {
    assert.equal(verdict({ reports: [report("endpoint-independent")] }).calls, "direct");
    const symmetric = report("address-and-port-dependent");
    const alone = verdict({ reports: [symmetric] });
    assert.equal(alone.calls, "no");
    assert.match(alone.fails.join(), /another port to every destination/);
    assert.match(alone.change.join(), /TURN server/);
    const relayed = verdict({ reports: [symmetric], udp: [turn] });
    assert.equal(relayed.calls, "relayed");
    assert.match(relayed.works.join(), /over UDP\. Credentials were not tried/);
    assert.equal(verdict({ reports: [report("destination-dependent")] }).calls, "no");
  });

  test("servers in the same network see no NAT at its edge: of the internet nothing is promised", () => {
    const seenAs = (...addresses: string[]) =>
      verdict({
        reports: addresses.map((text) =>
          report("endpoint-independent", { publicAddresses: [parseIp(text)!], translated: known(false) }),
        ),
      });
    for (const address of ["192.168.1.20", "10.0.0.2", "127.0.0.1", "fd00::2"]) {
      const inside = seenAs(address);
      assert.equal(inside.inside, true, address);
      assert.match(inside.change.join(), /Name a server on the internet as well/);
      assert.match(describeVerdict(inside).join("\n"), /^Calls will work from here inside this network;/);
    }
    for (const outside of [seenAs("198.51.100.9"), seenAs("10.0.0.2", "2001:db8::1")]) {
      assert.equal(outside.inside, false);
      assert.match(describeVerdict(outside).join("\n"), /most of them directly/);
    }
  });

  test("what is unknown is no promise", () => {
    const lengths = { longestDatagram: unknown("no-long-answer"), fragments: unknown("no-long-answer") };
    const unclear = report("endpoint-independent", {
      ...lengths,
      mapping: unknown("one-address"),
      lifetime: unknown("not-tested"),
    });
    const { calls, works, fails } = verdict({ reports: [unclear] });
    assert.deepEqual([calls, works, fails], ["no", [], []]);
  });

  test("UDP that is blocked is told apart from no network, and TLS to a relay is enough", () => {
    const blocked = report(undefined);
    assert.match(verdict({ reports: [blocked] }).change.join(), /whether there is a network/);
    const over = verdict({ reports: [blocked], streams: [{ target: turns, reached }] });
    assert.equal(over.calls, "relayed");
    assert.match(over.works.join(), /over TLS/);
    assert.match(over.change.join(), /Let UDP out/);
    const stranger = { ...turn, address: parseIp("198.51.100.1", 3479)! };
    assert.equal(
      verdict({ reports: [report("address-dependent")], udp: [stranger] }).calls,
      "no",
      formatAddress(server),
    );
  });

  test("RFC 4787 §4.3: a NAT that forgets before two minutes asks for keepalives", () => {
    const after = (atLeast: number, below: number | undefined) => {
      const how = { refreshedByOutbound: known(true), refreshedByInbound: known(true) };
      return verdict({ reports: [report("endpoint-independent", { lifetime: known({ atLeast, below, ...how }) })] });
    };
    const soon = after(18.75, 22.5);
    assert.match(soon.fails.join(), /after 23 s of silence/);
    assert.match(soon.change.join(), /every 18 s or more often/);
    for (const late of [after(120, 130), after(600, undefined)]) {
      assert.doesNotMatch(late.fails.join(), /silence/);
      assert.doesNotMatch(late.change.join(), /keepalives/);
    }
  });

  test("where nothing answers, the advice is what was not tried yet", () => {
    const [blocked, symmetric] = [report(undefined), report("address-and-port-dependent")];
    const silent = { reached: undefined };
    const throughProxy = { ...turns, throughProxy: true };
    const unnamed = verdict({ reports: [blocked], udp: [turn], streams: [{ target: turns, ...silent }] });
    assert.match(unnamed.change.join(), /See whether there is a network at all.*--proxy/);
    assert.doesNotMatch(unnamed.change.join(), /Give the application a TURN server/, "it was named");
    const shut = verdict({ reports: [blocked], streams: [{ target: throughProxy, ...silent }] });
    assert.doesNotMatch(shut.change.join(), /--proxy/);
    const byProxy = verdict({ reports: [blocked], streams: [{ target: throughProxy, reached }] });
    assert.match(byProxy.change.join(), /only the proxy leads out/);
    assert.doesNotMatch(byProxy.change.join(), /whether there is a network/);
    const unreached = verdict({ reports: [symmetric], streams: [{ target: turns, ...silent }] });
    assert.match(unreached.change.join(), /whether the TURN server runs/);
  });

  test("a packet that is rewritten, and a certificate that browsers refuse, are named with what to do", () => {
    const bad = { target: turns, reached: { ...reached, certificateProblem: "CERT_HAS_EXPIRED" } };
    const rewritten = report("endpoint-independent", { rewritten: known(true) });
    const { fails, change } = verdict({ reports: [rewritten], streams: [bad] });
    assert.match(fails.join(), /rewrites them.*CERT_HAS_EXPIRED/);
    assert.match(change.join(), /ALG.*certificate that browsers trust/);
  });

  test("the words say numbers and reasons", () => {
    const words = describeReport(report("address-dependent")).join("\n");
    for (const part of [
      /in sequence, by 2/,
      /28 to 32 s; only packets from inside/,
      /up to 1492 bytes pass, 1500 are lost.*; fragments are lost/,
      /one is seen, 1 hop away/,
      /only one address/,
    ]) {
      assert.match(words, part);
    }
    assert.match(describeVerdict(verdict({ reports: [report(undefined)] })).join("\n"), /^Calls will not work/);
    const symmetric = verdict({ reports: [report("address-dependent")] });
    assert.match(describeVerdict(symmetric).join("\n"), /^Most calls will not work/);
  });
});
