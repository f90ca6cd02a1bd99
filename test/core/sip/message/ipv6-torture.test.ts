/** The messages of RFC 5118, with what its section 4 says of each. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type SipMessage, SipRequest } from "../../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import type { SipUri } from "../../../../src/core/sip/message/uri.ts";
import { isSameHost } from "../../../../src/core/sip/message/uri-comparison.ts";
import type { Via } from "../../../../src/core/sip/message/via.ts";

const common = {
  to: "sip:user@example.com",
  from: "sip:user@example.com;tag=81x2",
  vias: ["SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111"],
  callId: "SSG9559905523997077@hlau_4100",
  contact: '"Caller" <sip:caller@[2001:db8::1]>' as string | undefined,
  cseq: 98176,
  body: "",
};

function text(method: string, uri: string, parts: Partial<typeof common> = {}): string {
  const { to, from, vias, callId, contact, cseq, body } = { ...common, ...parts };
  const lines = [`${method} ${uri} SIP/2.0`, `To: ${to}`, `From: ${from}`, ...vias.map((via) => `Via: ${via}`)];
  lines.push(`Call-ID: ${callId}`, "Max-Forwards: 70");
  if (contact !== undefined) lines.push(`Contact: ${contact}`);
  lines.push(`CSeq: ${cseq} ${method}`, `Content-Length: ${body.length}`, "", body);
  return lines.join("\r\n");
}

function taken(input: string): SipRequest {
  const message: SipMessage | { readonly kind: "failure" } = parseMessage(input);
  assert.ok(message instanceof SipRequest, JSON.stringify(message));
  assert.equal(message.format(), input);
  return message;
}

function where({ uri }: SipRequest): readonly [host: string, port: number | undefined] {
  const { host, port } = uri as SipUri;
  return [host, port];
}

test("RFC 5118 §4.1: an IPv6 reference in brackets", () => {
  const request = taken(text("REGISTER", "sip:[2001:db8::10]"));
  assert.deepEqual(where(request), ["[2001:db8::10]", undefined]);
  assert.equal(request.via.host, "[2001:db8::9:1]");
});

test("RFC 5118 §4.2: one without brackets is answered 400", () => {
  const failure = parseMessage(text("REGISTER", "sip:2001:db8::10"));
  assert.ok(failure.kind === "failure" && failure.refusal.code === "bad-uri" && failure.request !== undefined);
  assert.equal(failure.refusal.status, 400);
});

test("RFC 5118 §4.3: what looks like a port inside the brackets is a part of the address", () => {
  assert.deepEqual(where(taken(text("REGISTER", "sip:[2001:db8::10:5070]"))), ["[2001:db8::10:5070]", undefined]);
});

test("RFC 5118 §4.4: a port behind the brackets is a port", () => {
  assert.deepEqual(where(taken(text("REGISTER", "sip:[2001:db8::10]:5070"))), ["[2001:db8::10]", 5070]);
});

test("RFC 5118 §4.5: received is taken with brackets and without", () => {
  for (const received of ["[2001:db8::9:255]", "2001:db8::9:255"]) {
    const via = `SIP/2.0/UDP [2001:db8::9:1];received=${received};branch=z9hG4bKas3-111`;
    const bye = taken(text("BYE", "sip:[2001:db8::10]", { vias: [via], contact: undefined, cseq: 321 }));
    assert.equal(bye.via.params.get("received"), received);
    assert.equal(bye.via.params.get("branch"), "z9hG4bKas3-111");
  }
});

const addresses = (line: string): string =>
  `v=0\r\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\r\ns=Live video feed for today's meeting\r\n${line}\r\n` +
  "t=3338481189 3370017201\r\nm=audio 6000 RTP/AVP 2\r\na=rtpmap:2 G726-32/8000\r\n";

for (const [section, body] of [
  ["4.6", addresses("c=IN IP6 2001:db8::20")],
  ["4.8", `${addresses("c=IN IP6 2001:db8::1")}m=video 6024 RTP/AVP 107\r\nc=IN IP4 192.0.2.1\r\n`],
] as const) {
  test(`RFC 5118 §${section}: IPv6 addresses in a description leave the message alone`, () => {
    const contact = '"Caller" <sip:caller@[2001:db8::20]>';
    const invite = taken(text("INVITE", "sip:user@[2001:db8::10]", { to: "sip:user@[2001:db8::10]", contact, body }));
    assert.equal(invite.body, body);
    assert.equal((invite.to.uri as SipUri).host, "[2001:db8::10]");
  });
}

test("RFC 5118 §4.7: IPv4 and IPv6 in the Via fields of one message", () => {
  const vias = [
    "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111",
    "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144",
    "SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200",
  ];
  const bye = taken(text("BYE", "sip:user@host.example.net", { vias, contact: undefined, callId: "997077@lau_4100" }));
  assert.deepEqual(
    (bye.vias as readonly Via[]).map(({ host, port }) => [host, port]),
    [
      ["[2001:db8::9:1]", 6050],
      ["192.0.2.1", undefined],
      ["[2001:db8::9:255]", undefined],
    ],
  );
});

test("RFC 5118 §4.9: IPv4-mapped addresses", () => {
  const vias = [
    "SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19",
    "SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111",
  ];
  const contact = '"T. desk phone" <sip:ted@[::ffff:192.0.2.2]>';
  const invite = taken(text("INVITE", "sip:user@example.com", { vias, contact }));
  assert.equal(invite.via.host, "[::ffff:192.0.2.10]");
  assert.equal(invite.via.port, 19823);
  assert.ok(isSameHost("[::ffff:192.0.2.2]", "[::FFFF:c000:202]"));
});

test("RFC 5118 §4.10: three colons before an IPv4 address, as an old grammar made them, are taken as two", () => {
  for (const host of ["[2001:db8:::192.0.2.1]", "[2001:db8::192.0.2.1]"]) {
    const options = taken(text("OPTIONS", `sip:user@${host}`, { to: `sip:user@${host}`, contact: undefined }));
    assert.ok(isSameHost((options.uri as SipUri).host, "[2001:db8::c000:201]"), host);
  }
});
