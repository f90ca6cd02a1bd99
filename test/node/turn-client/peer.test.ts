import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { parseProxy } from "../../../src/node/turn-client/http-proxy.ts";
import { parsePeer } from "../../../src/node/turn-client/peer.ts";

test("a peer is an address with a port, or without", () => {
  for (const [text, canonical] of [
    ["192.0.2.1:7000", "192.0.2.1:7000"],
    ["[2001:db8::1]:7000", "[2001:db8::1]:7000"],
    ["192.0.2.1", "192.0.2.1:0"],
    ["2001:db8::1", "[2001:db8::1]:0"],
  ] as const) {
    assert.equal(formatAddress(parsePeer(text)), canonical);
  }
  for (const text of [
    "",
    "example.org:1",
    "192.0.2.1:70000",
    "[192.0.2.1]:1",
    "2001:db8::1]:1",
    "192.0.2.1:",
    "1:2:3",
  ]) {
    assert.throws(() => parsePeer(text), { code: "bad-peer" }, text);
  }
});

test("a proxy is an HTTP URL, with credentials or without; what is wrong with one is said without them", () => {
  assert.deepEqual(parseProxy("http://proxy.example"), { host: "proxy.example", port: 80, authorization: undefined });
  assert.deepEqual(parseProxy("http://al%40ice:p@[2001:db8::1]:3128/"), {
    host: "2001:db8::1",
    port: 3128,
    authorization: Buffer.from("al@ice:p").toString("base64"),
  });
  for (const text of [
    "proxy.example:3128",
    "https://a:secret@proxy.example",
    "http://a:secret@proxy.example/path",
    "",
  ]) {
    const isClean = ({ message, code }: Error & { code: string }) =>
      code === "bad-proxy" && !message.includes("secret");
    assert.throws(() => parseProxy(text), isClean, text);
  }
});
