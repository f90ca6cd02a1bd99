import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress, parseIp } from "../../../src/core/base/address.ts";
import type { Candidate } from "../../../src/core/ice/candidate.ts";
import { candidateLine, formatDescription, parseDescription } from "../../../src/node/ice/description.ts";

const credentials = { ufrag: "abcd", password: "0123456789012345678901" };
const candidate: Candidate = {
  ...{ foundation: "1", component: 1, priority: 100, type: "host", related: undefined },
  address: parseIp("192.0.2.1", 7000)!,
};
const where = (text: string): string[] =>
  (parseDescription(text).candidates ?? []).map((c) => formatAddress(c.address));

suite("what is written", () => {
  test("can be read, with its end or without", () => {
    for (const isEnd of [true, false]) {
      const { candidates, ...read } = parseDescription(formatDescription(credentials, [candidate], isEnd));
      assert.deepEqual(read, { ...credentials, isLite: false, isEnd, hardNats: false });
      assert.deepEqual(candidates, [candidate]);
    }
  });

  test("says whether hard NATs are probed, and nothing of it when they are not", () => {
    for (const hardNats of [true, false]) {
      const text = formatDescription(credentials, [], true, hardNats);
      assert.equal(text.includes("a=ice-options:ice2 trickle postern+hardnats\r\n"), hardNats);
      assert.equal(parseDescription(text).hardNats, hardNats);
    }
    const lines = formatDescription(credentials, [], true).replace("ice2 trickle", "trickle rtp+ecn");
    assert.equal(parseDescription(`a=ice-options:postern+hardnats\r\nm=audio 9 RTP/AVP 0\r\n${lines}`).hardNats, true);
  });

  test("RFC 8839 §5.1: a candidate that is told by itself says of which description it is", () => {
    assert.equal(candidateLine(candidate, "abcd"), "candidate:1 1 udp 100 192.0.2.1 7000 typ host ufrag abcd");
  });
});

suite("of a whole session description", () => {
  const media = (port: number, ...more: readonly string[]): string =>
    [
      ...[`m=audio ${port} RTP/AVP 0`, "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901", ...more],
      `a=candidate:1 1 udp 100 192.0.2.1 ${port} typ host`,
    ].join("\n");

  test("session level and the first media description count, whatever ends its lines", () => {
    const text = `v=0\nt=0 0\na=ice-lite\n${media(7000)}\n${media(8000, "a=end-of-candidates")}\n`;
    for (const one of [text, text.replaceAll("\n", "\r\n")]) {
      assert.deepEqual(where(one), ["192.0.2.1:7000"]);
      const { isLite, isEnd } = parseDescription(one);
      assert.deepEqual([isLite, isEnd], [true, false]);
    }
  });

  test("RFC 8839 §5.1: candidates of other transports and with names are passed over", () => {
    const others = ["1 tcp 100 192.0.2.1 9 typ host tcptype active", "1 udp 100 a4f2.local 9 typ host", "nonsense"];
    assert.deepEqual(where(media(7000, ...others.map((one) => `a=candidate:2 ${one}`))), ["192.0.2.1:7000"]);
  });

  for (const missing of ["ice-ufrag", "ice-pwd"]) {
    test(`without ${missing} it is none`, () => {
      const text = media(7000).replace(`a=${missing}:`, "a=other:");
      assert.throws(() => parseDescription(text), { name: "PosternError", code: "bad-ice-description" });
    });
  }
});
