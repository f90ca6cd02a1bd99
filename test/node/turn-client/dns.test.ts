/** The DNS adapter, against a small name server. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { resolveTurn } from "../../../src/core/turn/resolve.ts";
import { parseTurnUri } from "../../../src/core/turn/uri.ts";
import { resolveEndpoints } from "../../../src/node/turn-client/dns.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { NameServer } from "../../support/name-server.ts";
import { until } from "../../support/until.ts";

let server: NameServer;
before(async () => {
  server = await NameServer.open({
    "NAPTR turn.example": ["1 2 s RELAY:turn.tcp _turn._tcp.turn.example"],
    "SRV _turn._tcp.turn.example": ["1 2 3479 localhost"],
  });
});
after(() => server[Symbol.asyncDispose]());

const resolve = (uri: string, signal?: AbortSignal) =>
  resolveEndpoints(resolveTurn(parseTurnUri(uri), ["udp", "tcp", "tls"], new SeededRandom(1)), signal, [server.at]);

test("RFC 5928 §3: NAPTR leads to SRV, and SRV to an address", async () => {
  const found = await resolve("turn:turn.example");
  assert.ok(found.length > 0);
  for (const { transport, address } of found) {
    assert.equal(transport, "tcp");
    assert.match(formatAddress(address), /^(127\.0\.0\.1|\[::1\]):3479$/);
  }
});

test("what the DNS does not know has no places", async () => {
  assert.deepEqual(await resolve("turns:nowhere.invalid"), []);
});

test("the signal ends a question that nobody answers", async () => {
  server.mood = "is silent";
  try {
    const reason = new Error("enough");
    const controller = new AbortController();
    const { length } = server.asked;
    const resolving = resolve("turn:turn.example", controller.signal);
    await until("a question", () => server.asked.length > length);
    controller.abort(reason);
    await assert.rejects(resolving, reason);
  } finally {
    server.mood = "answers";
  }
});
