/** The DNS adapter, against a small name server. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { resolveTurn } from "../../../src/core/turn/resolve.ts";
import { parseTurnUri } from "../../../src/core/turn/uri.ts";
import { resolveEndpoints } from "../../../src/node/turn-client/dns.ts";
import { SeededRandom } from "../../support/crypto.ts";

const SRV = 33;
const NAPTR = 35;

function name(text: string): Buffer {
  const labels = text.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.of(0)]);
}

const word = (value: number): Buffer => Buffer.of(value >> 8, value & 255);
const text = (value: string): Buffer => Buffer.from([value.length, ...Buffer.from(value)]);

const zone: Readonly<Record<string, Buffer>> = {
  [`${NAPTR} turn.example`]: Buffer.concat([
    ...[word(1), word(2), text("s"), text("RELAY:turn.tcp"), text(""), name("_turn._tcp.turn.example")],
  ]),
  [`${SRV} _turn._tcp.turn.example`]: Buffer.concat([word(1), word(2), word(3479), name("localhost")]),
};

/** Answers with the one record that the zone has, or that there is none. */
function reply(question: Buffer): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (; question[at] !== 0; at += (question[at] as number) + 1) {
    labels.push(question.toString("latin1", at + 1, at + 1 + (question[at] as number)));
  }
  const type = question.readUInt16BE(at + 1);
  const asked = question.subarray(12, at + 5);
  const data = zone[`${type} ${labels.join(".").toLowerCase()}`];
  const header = Buffer.concat([
    ...[question.subarray(0, 2), word(data === undefined ? 0x8183 : 0x8180)],
    ...[word(1), word(data === undefined ? 0 : 1), word(0), word(0)],
  ]);
  if (data === undefined) return Buffer.concat([header, asked]);
  const record = Buffer.concat([word(0xc00c), word(type), word(1), word(0), word(60), word(data.length), data]);
  return Buffer.concat([header, asked, record]);
}

let server: Socket;
let servers: readonly string[];
let isSilent = false;
before(async () => {
  server = createSocket("udp4");
  server.on("message", (question, { port, address }) => {
    if (!isSilent) server.send(reply(question), port, address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  servers = [`127.0.0.1:${server.address().port}`];
});
after(() => server.close());

const resolve = (uri: string, signal?: AbortSignal) =>
  resolveEndpoints(resolveTurn(parseTurnUri(uri), ["udp", "tcp", "tls"], new SeededRandom(1)), signal, servers);

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
  isSilent = true;
  try {
    const reason = new Error("enough");
    const controller = new AbortController();
    const asked = once(server, "message");
    const resolving = resolve("turn:turn.example", controller.signal);
    await asked;
    controller.abort(reason);
    await assert.rejects(resolving, reason);
  } finally {
    isSilent = false;
  }
});
