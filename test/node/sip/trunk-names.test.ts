/** Names of trunks, asked of a real DNS server. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import type { ServerEndpoint } from "../../../src/core/base/resolution.ts";
import { MALFORMED } from "../../../src/core/sip/message/characters.ts";
import { isSipUri, parseUri } from "../../../src/core/sip/message/uri.ts";
import type { Log } from "../../../src/node/log.ts";
import { TrunkNames } from "../../../src/node/sip/trunk-names.ts";
import { NameServer, type NameZone } from "../../support/name-server.ts";
import { until } from "../../support/until.ts";

const zone: NameZone = {
  "NAPTR p.example": ["20 10 s SIP+D2T _sip._tcp.p.example", "10 10 s SIPS+D2T _sips._tcp.p.example"],
  "SRV _sips._tcp.p.example": ["20 0 5071 b.p.example", "10 0 5061 a.p.example"],
  "SRV _sip._tcp.p.example": ["10 0 5060 a.p.example"],
  "A a.p.example": ["192.0.2.1"],
  "AAAA a.p.example": ["2001:db8::1"],
  "A b.p.example": ["192.0.2.2"],
};
const all = [
  "tls 192.0.2.1:5061",
  "tls [2001:db8::1]:5061",
  "tls 192.0.2.2:5071",
  "tcp 192.0.2.1:5060",
  "tcp [2001:db8::1]:5060",
];

class Names implements Disposable {
  readonly told: string[][] = [];
  readonly logged: string[] = [];
  readonly #names: TrunkNames;

  constructor(server: NameServer, uriText = "sip:p.example") {
    const uri = parseUri(uriText);
    assert.ok(uri !== MALFORMED && isSipUri(uri));
    const target = { uri, serverName: uri.host, isMediaThere: true };
    const trunk = { name: "p", sources: [], media: [], target, host: "", prefixes: [], users: "all" } as const;
    const note = (_fields: object, event: string): void => void this.logged.push(event);
    const log: Log = { trace: note, debug: () => {}, info: note, warn: note, error: note };
    const onResolved = (name: string, endpoints: readonly ServerEndpoint[]): void => {
      assert.equal(name, "p");
      this.told.push(endpoints.map(({ transport, address }) => `${transport} ${formatAddress(address)}`));
    };
    const pace = { shortest: 20, retry: 20 };
    this.#names = new TrunkNames({ trunks: [trunk], onResolved, log, servers: [server.at], pace });
  }

  async next(): Promise<readonly string[]> {
    const { length } = this.told;
    await until("word of the name", () => this.told.length > length);
    return this.told.at(-1) as string[];
  }

  [Symbol.dispose](): void {
    this.#names.close();
  }
}

suite("RFC 3263 §4: a trunk's name", () => {
  test("leads by NAPTR and SRV to its servers, in the order that they say", async () => {
    await using server = await NameServer.open(zone);
    using names = new Names(server);
    assert.deepEqual(await names.next(), all);
    assert.equal(server.asked[0], "NAPTR p.example");
  });

  test("with a port is an address alone; with a transport there is no question which", async () => {
    await using server = await NameServer.open(zone);
    {
      using names = new Names(server, "sip:b.p.example:5099");
      assert.deepEqual(await names.next(), ["udp 192.0.2.2:5099"]);
      assert.deepEqual(server.asked.toSorted(), ["A b.p.example", "AAAA b.p.example"]);
    }
    using names = new Names(server, "sip:p.example;transport=tls");
    assert.deepEqual(await names.next(), all.slice(0, 3));
    assert.ok(!server.asked.includes("NAPTR p.example"));
  });

  test("is asked for again when the answer is too old, and not earlier", async () => {
    await using server = await NameServer.open(zone);
    server.ttl = 0;
    {
      using names = new Names(server);
      await names.next();
      server.zone = { ...zone, "A b.p.example": ["192.0.2.3"] };
      await until("the change", () => names.told.at(-1)?.includes("tls 192.0.2.3:5071") === true);
      assert.ok(
        names.logged.every((event) => event === "trunk-name-resolved") && names.logged.length === 2,
        names.logged.join(),
      );
    }
    server.ttl = 60;
    using names = new Names(server);
    await names.next();
    const { length } = server.asked;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(server.asked.length, length);
  });

  for (const [what, spoil] of [
    ["fails", (server: NameServer) => (server.mood = "fails")],
    ["knows nothing of it", (server: NameServer) => (server.zone = {})],
    ["fails halfway", (server: NameServer) => (server.broken = ["SRV _sip._tcp.p.example"])],
  ] as const) {
    test(`keeps its last good answer while the DNS ${what}`, async () => {
      await using server = await NameServer.open(zone);
      server.ttl = 0;
      using names = new Names(server);
      await names.next();
      spoil(server);
      await until("word of that", () => names.logged.includes("trunk-name-failed"));
      const { length } = names.told;
      const asked = server.asked.length;
      await until("more questions", () => server.asked.length > asked + 10);
      assert.equal(names.told.length, length);
      assert.equal(names.logged.filter((event) => event === "trunk-name-failed").length, 1, "is said once");
      server.mood = "answers";
      server.broken = [];
      server.zone = { ...zone, "A b.p.example": ["192.0.2.4"] };
      await until("another answer", () => names.told.at(-1)?.includes("tls 192.0.2.4:5071") === true);
    });
  }

  test("that the DNS does not know at first is there as soon as it does", async () => {
    await using server = await NameServer.open({});
    using names = new Names(server);
    await until("word of that", () => names.logged.includes("trunk-name-failed"));
    assert.deepEqual(names.told, []);
    server.zone = zone;
    assert.deepEqual(await names.next(), all);
  });

  test("that was never known whole is what is known of it, and what becomes of that", async () => {
    await using server = await NameServer.open(zone);
    server.ttl = 0;
    server.broken = ["NAPTR p.example", "SRV _sips._tcp.p.example"];
    using names = new Names(server);
    assert.deepEqual(await names.next(), all.slice(3));
    server.zone = { ...zone, "A a.p.example": ["192.0.2.7"] };
    await until("the change", () => names.told.at(-1)?.includes("tcp 192.0.2.7:5060") === true);
    server.broken = [];
    await until("the whole", () => names.told.at(-1)?.length === all.length);
  });

  test("is not asked for any more when the server closes", async () => {
    await using server = await NameServer.open(zone);
    server.mood = "is silent";
    const names = new Names(server);
    await until("a question", () => server.asked.length > 0);
    names[Symbol.dispose]();
    server.mood = "answers";
    const { length } = server.asked;
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([names.told, names.logged, server.asked.length], [[], [], length]);
  });
});
