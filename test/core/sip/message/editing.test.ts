/** Edits change what they name; every other byte stays. The listings' own text is not to be had: these have their fields. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosternError } from "../../../../src/core/base/failure.ts";
import { createRequest, createResponse } from "../../../../src/core/sip/message/build.ts";
import { SipRequest } from "../../../../src/core/sip/message/message.ts";
import { bodyParts, withPart } from "../../../../src/core/sip/message/multipart.ts";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import type { Via } from "../../../../src/core/sip/message/via.ts";

const sdp =
  "v=0\r\no=alice 2890844526 2890844526 IN IP4 pc.example.org\r\ns=-\r\nc=IN IP4 pc.example.org\r\nt=0 0\r\n" +
  "m=audio 49170 RTP/AVP 0 1 3 99\r\n";

/** As listing 1: one hop, straight from the phone. */
const first = [
  "INVITE sip:bob@example.com SIP/2.0",
  "Via: SIP/2.0/UDP 10.1.1.7:5060;branch=z9hG4bK776asdhds;rport",
  "Max-Forwards: 70",
  "To:  Bob <sip:bob@example.com>",
  'f: "Alice, at home" <sip:alice@example.com>;tag=1928301774',
  "Call-ID: a84b4c76e66710@10.1.1.7",
  "CSeq: 314159 INVITE",
  "Contact: <sip:alice@10.1.1.7:5060;transport=udp>;expires=60 , <sip:alice@10.1.1.8>",
  "X-Unknown: ;;,  kept\t",
  " as it is",
  "Content-Type: application/sdp",
  `Content-Length: ${sdp.length}`,
  "",
  sdp,
].join("\r\n");

/** As listing 3: through two proxies, one of which is a media proxy. */
const third = [
  "INVITE sip:bob@192.0.2.40:5060 SIP/2.0",
  "Record-Route: <sip:203.0.113.5;lr>",
  "v: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKnashds8 , SIP/2.0/UDP 10.1.1.7:5060;received=198.51.100.9;rport=40112;branch=z9hG4bK776",
  "Max-Forwards: 69",
  "t: <sip:bob@example.com>",
  "f: <sip:alice@example.com>;tag=1928301774",
  "i: a84b4c76e66710@10.1.1.7",
  "CSeq: 314159 INVITE",
  "m: <sip:alice@198.51.100.9:40112>",
  "c: application/sdp",
  `l: ${sdp.length}`,
  "",
  sdp,
].join("\r\n");

function request(text: string): SipRequest {
  const message = parseMessage(text);
  assert.ok(message instanceof SipRequest, JSON.stringify(message));
  return message;
}

/** The text with one part in place of another, which must be there. */
function replaced(text: string, part: string, by: string): string {
  assert.ok(text.includes(part), part);
  return text.replace(part, () => by);
}

function edited(text: string, edit: (message: SipRequest) => void): string {
  const message = request(text);
  edit(message);
  return message.format();
}

test("what comes unchanged goes unchanged, field by field", () => {
  for (const text of [first, third]) assert.equal(request(text).format(), text);
  const message = request(third);
  assert.deepEqual(
    (message.vias as readonly Via[]).map(({ host, port, params }) => [
      host,
      port,
      params.get("received"),
      params.get("rport"),
    ]),
    [
      ["203.0.113.5", undefined, undefined, undefined],
      ["10.1.1.7", 5060, "198.51.100.9", "40112"],
    ],
  );
  const [route] = message.recordRoutes;
  assert.ok(typeof route === "object" && route.uriText === "sip:203.0.113.5;lr");
  assert.equal(message.body, sdp);
  assert.equal(request(first).header("x-unknown"), ";;,  kept as it is");
});

test("a Via goes before the first, and the first goes away again", () => {
  const via = "SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKnew";
  const forwarded = edited(first, (message) => message.prependVia(via));
  assert.equal(forwarded, replaced(first, "Via: ", `Via: ${via}\r\nVia: `));
  assert.equal(
    edited(forwarded, (message) => message.removeTopVia()),
    first,
  );
  const popped = edited(third, (message) => assert.equal(message.removeTopVia()?.host, "203.0.113.5"));
  assert.equal(popped, replaced(third, "SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKnashds8 , ", ""));
});

test("RFC 3581 §4: received and rport are put into the topmost Via where they belong", () => {
  const text = edited(first, (message) => {
    message.setViaParam("rport", "40112");
    message.setViaParam("received", "198.51.100.9");
  });
  assert.equal(text, replaced(first, ";rport", ";rport=40112;received=198.51.100.9"));
  const top = edited(third, (message) => message.setViaParam("received", "192.0.2.1"));
  assert.equal(top, replaced(third, "z9hG4bKnashds8", "z9hG4bKnashds8;received=192.0.2.1"));
});

test("both at once come out the same, in whatever order they stand", () => {
  const both = [
    ["rport", "40112"],
    ["received", "198.51.100.9"],
  ] as const;
  assert.equal(
    edited(first, (message) => message.setViaParams(both)),
    replaced(first, ";rport", ";rport=40112;received=198.51.100.9"),
  );
  const turned = replaced(first, ";branch", ";received=10.0.0.1;branch");
  assert.equal(
    edited(turned, (message) => message.setViaParams(both)),
    replaced(first, ";branch=z9hG4bK776asdhds;rport", ";received=198.51.100.9;branch=z9hG4bK776asdhds;rport=40112"),
  );
});

test("a Contact's URI is replaced where it stands, bracketed or bare", () => {
  const second = edited(first, (message) => assert.ok(message.replaceContactUri(1, "sip:b@192.0.2.9")));
  assert.equal(second, replaced(first, "sip:alice@10.1.1.8", "sip:b@192.0.2.9"));
  const bare = replaced(third, "<sip:alice@198.51.100.9:40112>", "sip:alice@198.51.100.9 ;q=1");
  const bracketed = edited(bare, (message) => assert.ok(message.replaceContactUri(0, "sip:a@b;x=y")));
  assert.equal(bracketed, replaced(third, "sip:alice@198.51.100.9:40112>", "sip:a@b;x=y> ;q=1"));
  assert.equal(request(first).replaceContactUri(2, "sip:a@b"), false);
});

test("Request-URI, Route, Record-Route and Max-Forwards change alone", () => {
  const text = edited(first, (message) => {
    message.replaceUri("sip:bob@192.0.2.40");
    message.prependRoute("<sip:192.0.2.1;lr>");
    message.prependRoute("<sip:192.0.2.2;lr>");
    message.addRecordRoute("<sip:203.0.113.5;lr>");
    message.headers.set("Max-Forwards", "69");
    assert.equal(message.popRoute()?.uriText, "sip:192.0.2.2;lr");
  });
  const line = replaced(first, "sip:bob@example.com SIP", "sip:bob@192.0.2.40 SIP");
  const routed = replaced(line, "Via:", "Record-Route: <sip:203.0.113.5;lr>\r\nRoute: <sip:192.0.2.1;lr>\r\nVia:");
  assert.equal(text, replaced(routed, "Max-Forwards: 70", "Max-Forwards: 69"));
});

test("a body brings its length, and takes its type away with it", () => {
  const other = edited(first, (message) => message.setBody("v=0\r\n"));
  const shorter = replaced(first, `Content-Length: ${sdp.length}`, "Content-Length: 5");
  assert.equal(other, replaced(shorter, sdp, "v=0\r\n"));
  const none = request(first);
  none.setBody("");
  assert.equal(none.header("content-type"), undefined);
  assert.ok(none.format().endsWith("\r\nContent-Length: 0\r\n\r\n"));
});

test("a field that is removed is gone, and those around it stay", () => {
  const text = edited(first, (message) => message.headers.remove("f"));
  assert.equal(text, replaced(first, 'f: "Alice, at home" <sip:alice@example.com>;tag=1928301774\r\n', ""));
});

test("a copy is edited alone", () => {
  const original = request(first);
  original.copy().prependVia("SIP/2.0/UDP a");
  assert.equal(original.format(), first);
});

test("RFC 3261 §8.2.6: a response has the request's Via, From, Call-ID and CSeq as they came, and its To with a tag", () => {
  const response = createResponse(request(first), 180, { toTag: "xyz", headers: [["Contact", "<sip:b@c>"]] });
  const copied = first.split("\r\n").filter((line) => /^(Via|f|To|Call-ID|CSeq):/.test(line));
  const tagged = copied.map((line) => (line.startsWith("To:") ? `${line};tag=xyz` : line));
  assert.equal(
    response.format(),
    ["SIP/2.0 180 Ringing", ...tagged, "Contact: <sip:b@c>", "Content-Length: 0", "", ""].join("\r\n"),
  );
  const inDialog = request(replaced(first, "To:  Bob <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=old"));
  assert.equal(createResponse(inDialog, 200, { toTag: "new" }).toTag, "old");
});

test("what is built reads as it was built, and what cannot be written throws", () => {
  const parts = { method: "OPTIONS", uri: "sip:a@b", headers: [["Via", "SIP/2.0/UDP c;branch=z9hG4bK1"]] as const };
  const lines = ["OPTIONS sip:a@b SIP/2.0", "Via: SIP/2.0/UDP c;branch=z9hG4bK1", "Content-Length: 0", "", ""];
  assert.equal(createRequest(parts).format(), lines.join("\r\n"));
  const refuses = (work: () => void, code: string): void =>
    assert.throws(work, (error) => error instanceof PosternError && error.code === code);
  refuses(() => createRequest({ ...parts, method: "A B" }), "bad-method");
  refuses(() => createRequest({ ...parts, uri: "sip:" }), "bad-uri");
  refuses(() => createRequest({ ...parts, headers: [["Subject", "a\r\nVia: b"]] }), "bad-header");
  refuses(() => createRequest({ ...parts, headers: [["Sub ject", "a"]] }), "bad-header");
  refuses(() => request(first).replaceUri("sip:a b"), "bad-uri");
});

test("RFC 3261 §7.3.1: a field that comes twice where one is allowed, or a name that is none, is refused", () => {
  const code = (text: string): string => {
    const message = parseMessage(text);
    return message.kind === "failure" ? message.refusal.code : "taken";
  };
  assert.equal(code(replaced(first, "CSeq:", "i: other\r\nCSeq:")), "repeated-header");
  assert.equal(code(replaced(first, "Max-Forwards:", "Max Forwards:")), "bad-header");
  assert.equal(code(replaced(first, "Max-Forwards:", "Max-Forwards \t:")), "taken");
  assert.equal(code(replaced(first, "70\r\n", "70\n")), "bad-header");
  assert.equal(code(replaced(first, "70\r\n", "70\rX: y\r\n")), "bad-header");
  assert.equal(code(replaced(first, "kept", "ke\0pt")), "bad-header");
  assert.equal(code(replaced(first, "tag=1928301774", "tag=1;tag=2")), "bad-from");
  assert.equal(code(replaced(first, "bob@example.com SIP", `${"b".repeat(2048)}@example.com SIP`)), "uri-too-long");
  assert.equal(code(replaced(first, "X-Unknown", `${"X: y\r\n".repeat(256)}X-Unknown`)), "too-many-headers");
  assert.equal(code("x".repeat(70_000)), "message-too-long");
  assert.equal(code("\r\n\r\n\0"), "not-sip");
  const ack = parseMessage(replaced(replaced(first, "INVITE sip", "ACK sip"), "Max-Forwards: 70", "Max-Forwards: x"));
  assert.ok(ack.kind === "failure" && ack.request === undefined, "an ACK is not answered");
});

test("RFC 2046 §5.1: of several parts one is replaced, and every other byte stays", () => {
  const type = 'multipart/mixed; boundary="a b"';
  const body = `preamble\r\n--a b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--a b  \r\nc: x\r\nCONTENT-TYPE:\r\n Application/SDP; x=y\r\n\r\n${sdp}\r\n--a b--\r\nepilogue`;
  const parts = bodyParts(body, type);
  assert.deepEqual(
    parts.map(({ contentType, text }) => [contentType, text]),
    [
      ["text/plain", "hello"],
      ["application/sdp", sdp],
    ],
  );
  const part = parts[1];
  assert.ok(part !== undefined);
  assert.equal(withPart(body, part, "v=1\r\n"), replaced(body, sdp, "v=1\r\n"));
  assert.deepEqual(bodyParts(sdp, "application/SDP;x=y"), [
    { contentType: "application/sdp", text: sdp, at: 0, end: sdp.length },
  ]);
});

test("RFC 2046 §5.1.1: a line that only begins like a boundary is none, and an empty part is no part", () => {
  const type = 'multipart/mixed; boundary="x"';
  const texts = (body: string) => bodyParts(body, type).map(({ text }) => text);
  assert.deepEqual(texts("--x=x\r\n\r\n--x\r\n\r\none\r\n--xy\r\n\r\n--x \t\r\n\r\ntwo\r\n--x--"), [
    "one\r\n--xy\r\n",
    "two",
  ]);
  assert.deepEqual(texts("--x\r\n\r\n--x\r\n\r\none\r\n--x--"), ["one"]);
});
