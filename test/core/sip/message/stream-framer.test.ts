import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MAX_MESSAGE_LENGTH } from "../../../../src/core/sip/message/parse.ts";
import { SipStreamFramer } from "../../../../src/core/sip/message/stream-framer.ts";

const PING = "\r\n\r\n";
const invite = readFileSync(new URL("../../../vectors/rfc4475/wsinv.dat", import.meta.url), "latin1");
const options = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length : 3\r\n\r\n\r\n\r";

/** What was found: messages as their text, keep-alives as their names. */
function frames(chunks: Iterable<string>): readonly [found: string[], failure: string | undefined] {
  const framer = new SipStreamFramer();
  const found: string[] = [];
  for (const chunk of chunks) {
    framer.push(chunk);
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      found.push(frame.kind === "message" ? frame.text : frame.kind);
    }
  }
  return [found, framer.failure];
}

function pieces(text: string, length: number): string[] {
  return Array.from({ length: Math.ceil(text.length / length) }, (_, i) => text.slice(i * length, (i + 1) * length));
}

test("RFC 3261 §18.3: messages are found by their Content-Length, in whatever pieces they come", () => {
  const text = invite + options + options + invite;
  for (let length = 1; length <= 200; length++) {
    assert.deepEqual(frames(pieces(text, length)), [[invite, options, options, invite], undefined], `by ${length}`);
  }
});

test("RFC 5626 §3.5.1: two line breaks are a ping, in whatever pieces; one is a pong, told at once", () => {
  assert.deepEqual(frames([PING]), [["ping"], undefined]);
  assert.deepEqual(frames(["\r\n"]), [["pong"], undefined]);
  assert.deepEqual(frames([`${PING}${PING}${options}${PING}`])[0], ["ping", "ping", options, "ping"]);
  for (const length of [1, 2, 3, 5]) {
    const [found, failure] = frames(pieces(PING + PING + options + PING, length));
    assert.deepEqual(
      found.filter((frame) => frame !== "pong"),
      ["ping", "ping", options, "ping"],
      `by ${length}`,
    );
    assert.equal(failure, undefined);
  }
});

test("what cannot be followed ends the stream", () => {
  const withLength = (lines: string): string => `OPTIONS sip:a@b SIP/2.0\r\n${lines}\r\n`;
  assert.deepEqual(frames([withLength("To: <sip:a@b>\r\n")]), [[], "no-content-length"]);
  assert.deepEqual(frames([withLength("Content-Length: -1\r\n")]), [[], "bad-content-length"]);
  assert.deepEqual(frames([withLength("Content-Length: 0x10\r\n")]), [[], "bad-content-length"]);
  assert.deepEqual(frames([withLength("Content-Length: 0\r\nl: 5\r\n")]), [[], "bad-content-length"]);
  assert.deepEqual(frames([withLength("Content-Length: 65536\r\n")]), [[], "message-too-long"]);
  assert.deepEqual(frames([" OPTIONS"]), [[], "not-sip"]);
  assert.deepEqual(frames(pieces(`A: ${"a".repeat(MAX_MESSAGE_LENGTH)}`, 1000)), [[], "message-too-long"]);
});

test("a Content-Length on a folded line counts, one in another's value does not", () => {
  const folded = "OPTIONS sip:a@b SIP/2.0\r\nl:\r\n 2\r\n\r\nok";
  assert.deepEqual(frames(pieces(folded, 1)), [[folded], undefined]);
  const hidden = "OPTIONS sip:a@b SIP/2.0\r\nSubject: x\r\n Content-Length: 9\r\nl: 2\r\n\r\nok";
  assert.deepEqual(frames([hidden]), [[hidden], undefined]);
});

test("a length is read in one way, however much of what follows has come", () => {
  for (const line of ["Content-Length\x7f 5", "Content-Length 5", "Content-Length", "Content-Length: \xa05"]) {
    const head = `5\r\n${line}\r\n\r\n`;
    for (const chunks of [[`${head}v=0:5\r\n`], [head, "v=0:5\r\n"]]) {
      assert.deepEqual(frames(chunks), [[], "bad-content-length"], line);
    }
  }
  const spaced = "OPTIONS sip:a@b SIP/2.0\r\nl\t : 2 \r\n\r\nok";
  assert.deepEqual(frames([spaced]), [[spaced], undefined]);
});

test("after a failure nothing is taken any more", () => {
  const framer = new SipStreamFramer();
  framer.push(" ");
  assert.equal(framer.next(), undefined);
  framer.push(options);
  assert.equal(framer.next(), undefined);
  assert.equal(framer.pending, 1);
});
