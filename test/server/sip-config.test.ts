/** SIP's options: what a trunk line means, and what is told of its mistakes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, parseIp } from "../../src/core/base/address.ts";
import { parsePrefix } from "../../src/core/base/prefix.ts";
import type { Trunk } from "../../src/core/edge/config.ts";
import { formatUri } from "../../src/core/sip/message/uri.ts";
import { Secret } from "../../src/node/secret.ts";
import { loadConfig } from "../../src/server/config/load.ts";
import { printConfig } from "../../src/server/config/print.ts";
import { sipConfig, sipListeners } from "../../src/server/services/sip/sip-config.ts";

const env = { XDG_CONFIG_HOME: "/nonexistent", XDG_DATA_HOME: "/data" };

function load(flags: Readonly<Record<string, unknown>>) {
  return loadConfig({ flags: { sipDomain: "example.org", ...flags }, env }).then(({ config }) => config);
}

async function trunk(line: string): Promise<Trunk> {
  const { sipTrunks } = await load({ sipTrunks: [line] });
  return sipTrunks[0] ?? assert.fail("no trunk");
}

/** Where calls to it go, and what a certificate must bear. */
function shown({ target }: Trunk): readonly (string | undefined)[] {
  if (target === undefined || "uri" in target) return [target && formatUri(target.uri), target?.serverName];
  return [`${target.transport} ${formatAddress(target.address)}`, target.serverName];
}

/** The complaints, each without its place. */
async function complaints(flags: Readonly<Record<string, unknown>>): Promise<string[]> {
  const error = await load(flags).then(
    () => assert.fail("nothing was wrong"),
    (reason: Error) => reason,
  );
  return error.message
    .split("\n")
    .slice(1)
    .map((line) => line.replace(/^\s*(--\S+|default): /, ""));
}

test("a trunk's line says where it is, and who may dial what through it", async () => {
  const found = await trunk(
    "provider from=203.0.113.0/24,198.51.100.7 media=192.0.2.0/24 to=tls:203.0.113.10 host=sip.provider.net prefixes=+,00 users=alice,bob",
  );
  assert.deepEqual([found.name, found.host, found.prefixes], ["provider", "sip.provider.net", ["+", "00"]]);
  assert.deepEqual(found.users, new Set(["alice", "bob"]));
  assert.deepEqual([found.sources.length, found.media.length], [2, 1]);
  assert.deepEqual(shown(found), ["tls 203.0.113.10:5061", "sip.provider.net"]);
});

test("what a line leaves out has a meaning, too", async () => {
  const out = await trunk("pbx to=[2001:db8::5]:5070 prefixes=all users=all");
  assert.deepEqual([out.prefixes, out.users, out.sources], [[""], "all", []]);
  assert.deepEqual([shown(out)[0], out.host], ["udp [2001:db8::5]:5070", "[2001:db8::5]:5070"]);
  assert.deepEqual(out.media, [parsePrefix("2001:db8::5/128")]);
  const inward = await trunk("gate from=192.0.2.7");
  assert.deepEqual(inward.media, inward.sources);
  assert.deepEqual([inward.target, inward.prefixes, inward.users], [undefined, [], new Set()]);
});

test("a trunk has an address or a name, with a transport and a port or without", async () => {
  for (const [to, where, host, serverName] of [
    ["203.0.113.10", "udp 203.0.113.10:5060", "203.0.113.10", undefined],
    ["2001:db8::5", "udp [2001:db8::5]:5060", "[2001:db8::5]", undefined],
    ["sip:203.0.113.10:5070;transport=tcp", "tcp 203.0.113.10:5070", "203.0.113.10:5070", undefined],
    ["sips:203.0.113.10", "tls 203.0.113.10:5061", "203.0.113.10", undefined],
    ["sip.provider.net", "sip:sip.provider.net", "sip.provider.net", "sip.provider.net"],
    [
      "tls:sip.provider.net:5071",
      "sip:sip.provider.net:5071;transport=tls",
      "sip.provider.net:5071",
      "sip.provider.net",
    ],
    [
      "sip:sip.provider.net;transport=tcp",
      "sip:sip.provider.net;transport=tcp",
      "sip.provider.net",
      "sip.provider.net",
    ],
    ["sips:sip.provider.net", "sips:sip.provider.net", "sip.provider.net", "sip.provider.net"],
  ] as const) {
    const found = await trunk(`p to=${to} prefixes=all users=all`);
    assert.deepEqual([...shown(found), found.host], [where, serverName, host], to);
  }
  for (const to of [
    "sip:a@sip.provider.net",
    "ws:sip.provider.net",
    "sip:x;lr=1",
    "sip.provider.net:0",
    "sip:x?a=b",
    "1.2.3",
  ]) {
    assert.match((await complaints({ sipTrunks: [`p to=${to} prefixes=all users=all`] })).join(), /to= must be/, to);
  }
});

test("media of a named trunk comes from where its servers are, unless it is said where", async () => {
  const isMediaThere = async (words: string) => {
    const { target } = await trunk(`p to=sip.provider.net ${words} prefixes=all users=all`);
    return target !== undefined && "uri" in target && target.isMediaThere;
  };
  assert.equal(await isMediaThere("from=192.0.2.1"), true);
  assert.equal(await isMediaThere("media=192.0.2.0/24"), false);
});

test("semicolons between trunks are not those of a URI", async () => {
  const { sipTrunks } = await load({
    sipTrunks:
      "a to=sip:x.example;transport=tls prefixes=1 users=all; b from=192.0.2.1;c to=y.example prefixes=2 users=all;",
  });
  assert.deepEqual(
    sipTrunks.map(({ name, host }) => `${name} ${host}`),
    ["a x.example", "b ", "c y.example"],
  );
});

test("every mistake of a line is told, with its word", async () => {
  const told = await complaints({
    sipTrunks: [
      "provider from=0.0.0.0/0 to=provider@203.0.113.10 prefixes=+",
      "other form=192.0.2.1 users=all",
      "gate from=",
      "full from=192.0.2.1 calls=0",
      "! from=192.0.2.1",
    ],
  });
  const about = (words: RegExp) =>
    assert.ok(
      told.some((line) => words.test(line)),
      `${words}:\n${told.join("\n")}`,
    );
  about(/item 1, \(provider\) from=0\.0\.0\.0\/0 is too large: a prefix has \/8 or more/);
  about(/item 1, \(provider\) to= must be an IP address or a name, .* and is not "provider@203\.0\.113\.10"/);
  about(/item 1, \(provider\) needs prefixes= and users= beside to=/);
  about(/item 2, \(other\) must not have "form=192\.0\.2\.1": there are from=, media=/);
  about(/item 2, \(other\) has no use for users= without to=/);
  about(/item 3, \(gate\) needs something behind from=/);
  about(/item 4, \(full\) calls= must be a number from 1 to 99999, and is not "0"/);
  about(/item 5, must begin with a name/);
});

test("how many calls there may be: of a user, and through a trunk", async () => {
  assert.equal((await trunk("gate from=192.0.2.7 calls=30")).calls, 30);
  assert.equal((await trunk("gate from=192.0.2.7")).calls, undefined);
  const key = new Secret("a secret of thirty-two bytes, or so");
  const plan = { listen: [], relays: [], own: [], discovery: [] };
  const limitsOf = async (flags: Readonly<Record<string, unknown>>) => {
    const { limits, relay } = sipConfig(await load(flags), "example.org", plan, key);
    return [limits.callsPer.user, relay.quotas.sessionsPerOwner];
  };
  // And media for all of them.
  assert.deepEqual(await limitsOf({}), [20, 100]);
  assert.deepEqual(await limitsOf({ sipCallsPerUser: "3" }), [3, 100]);
  assert.deepEqual(await limitsOf({ sipCallsPerUser: "300" }), [300, 300]);
});

test("a printed line can be given back", async () => {
  const lines = [
    "provider from=203.0.113.0/24 media=192.0.2.0/24 to=tls:203.0.113.10:5061 host=sip.provider.net prefixes=+,00 users=alice,bob calls=30",
    "pbx media=2001:db8::/64 to=udp:[2001:db8::5]:5070 prefixes=all users=all",
    "gate from=192.0.2.7/32 media=192.0.2.7/32",
    "named from=192.0.2.0/24 to=sip:sip.provider.net;transport=tls prefixes=all users=all",
    "other media=192.0.2.0/24 to=sip:198-51-100.example:5070 host=sip.provider.net prefixes=0 users=all",
  ];
  const config = await load({ sipTrunks: lines });
  const printed = printConfig(config);
  for (const line of lines) assert.ok(printed.includes(`- ${line}`) || printed.includes(`"${line}"`), printed);
  assert.deepEqual((await load({ sipTrunks: lines })).sipTrunks, config.sipTrunks);
});

test("sites: their prefixes, and the public addresses that they are behind", async () => {
  const lines = ["office hosts=192.168.1.0/24,fd00:1::/48 behind=203.0.113.7/32", "tunnel hosts=10.8.0.0/16"];
  const config = await load({ sipSites: lines, sipMedia: "direct" });
  assert.deepEqual(
    config.sipSites.map(({ name, prefixes, behind }) => [name, prefixes.length, behind.length]),
    [
      ["office", 2, 1],
      ["tunnel", 1, 0],
    ],
  );
  assert.equal(config.sipMedia, "direct");
  const printed = printConfig(config);
  for (const line of lines) assert.ok(printed.includes(`- ${line}`) || printed.includes(`"${line}"`), printed);
  assert.deepEqual((await load({ sipSites: lines })).sipSites, config.sipSites);
  const cases: [string, RegExp][] = [
    ["office", /^sip-sites, .*needs hosts=/],
    ["office hosts=here", /hosts= must be addresses or prefixes, and is not "here"/],
    ["office hosts=0.0.0.0/0", /must be addresses or prefixes, and is not "0.0.0.0\/0"/],
    ["office hosts=10.0.0.0/8 near=10.1.0.0/16", /must not have "near=10.1.0.0\/16"/],
    ["office hosts=10.0.0.0/8 hosts=10.1.0.0/16", /must have hosts= once/],
    ["of fice", /must not have "fice"/],
    ["=", /must begin with a name/],
  ];
  for (const [line, words] of cases) assert.match((await complaints({ sipSites: [line] }))[0] ?? "", words);
  assert.match((await complaints({ sipSites: ["a hosts=10.0.0.0/8", "a hosts=10.1.0.0/16"] }))[0] ?? "", /of one name/);
});

test("SIP needs a domain, ports of its own, and room for calls", async () => {
  assert.equal((await load({ sipDomain: "Example.ORG." })).sipDomain, "example.org");
  assert.equal((await load({ sipDomain: "192.0.2.1" })).sipDomain, "192.0.2.1");
  assert.deepEqual(await complaints({ sipDomain: "2001:db8::1" }).then((all) => all.length), 1);
  const cases: [Readonly<Record<string, unknown>>, RegExp][] = [
    [{ sipPort: "off", sipsPort: "off" }, /^sip-port must not be off when sips-port is/],
    [{ sipPort: "3478" }, /^sip-port must be a port that nothing else here has/],
    [{ sipsPort: "5060" }, /^sips-port must not be sip-port/],
    [{ mediaPorts: "40000-50000" }, /^media-ports must not overlap relay-ports/],
    [{ mediaPorts: "40000-40003" }, /^media-ports must be eight ports or more/],
    [{ sipTrunks: ["a from=192.0.2.1", "a from=192.0.2.2"] }, /^sip-trunks must not have two trunks of one name/],
  ];
  for (const [flags, words] of cases) assert.match((await complaints(flags))[0] ?? "", words);
  const off = loadConfig({ flags: { sipTrunks: ["a from=192.0.2.1"] }, env });
  await assert.rejects(off, /sip-trunks needs sip-domain/);
});

test("a trunk is told the address that is reached from farthest, by its outside name", async () => {
  const config = await load({});
  const at = (ip: string) => parseIp(ip) ?? assert.fail();
  const [loopback, lan, routed] = [at("127.0.0.1"), at("192.0.2.5"), at("10.0.0.5")];
  const relays = [
    { bound: routed, advertised: at("203.0.113.9") },
    { bound: lan, advertised: lan },
  ];
  const plan = { listen: [loopback, lan, routed, at("2001:db8::1")], relays, own: [], discovery: [] };
  const names = (of: string) =>
    sipListeners(config, plan).flatMap(({ transport, name }) => (transport === of ? [name] : []));
  const hosts = ["203.0.113.9", "192.0.2.5", "127.0.0.1", "[2001:db8::1]"];
  assert.deepEqual(
    names("udp"),
    hosts.map((host) => `${host}:5060`),
  );
  assert.deepEqual(names("tcp"), names("udp"));
  assert.deepEqual(
    names("tls"),
    hosts.map((host) => `${host}:5061`),
  );
});
