import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import type { SipFlow } from "../../../../src/core/sip/flow.ts";
import { createRequest } from "../../../../src/core/sip/message/build.ts";
import { parseUri } from "../../../../src/core/sip/message/uri.ts";
import { aliasContact, originalContact } from "../../../../src/core/sip/proxy/contact-alias.ts";
import { type DialogParty, FlowTokens } from "../../../../src/core/sip/proxy/flow-token.ts";
import { testCrypto } from "../../../support/crypto.ts";

const at = (text: string, port: number) => parseIp(text, port) as Address;
const udp: SipFlow = {
  transport: "udp",
  connection: 0,
  local: at("192.0.2.1", 5060),
  remote: at("198.51.100.7", 40_000),
};
const tls: SipFlow = { transport: "tls", connection: 77, local: at("2001:db8::1", 5061), remote: at("2001:db8::7", 5) };
const alice: DialogParty = { flow: udp, name: "alice", isTrunk: false, phone: 0xfedc_ba98 };
const bob: DialogParty = { flow: tls, name: "b\xf6b", isTrunk: false, phone: 0 };
const provider: DialogParty = { flow: udp, name: "provider", isTrunk: true, phone: 0 };
const [key, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

test("a token tells both flows, whose they are, and which end the request is from", () => {
  const tokens = new FlowTokens(testCrypto, [key]);
  const token = tokens.seal({ caller: alice, callee: bob }, "call", "tag");
  assert.match(token, /^[A-Za-z0-9_-]+$/);
  assert.deepEqual(tokens.open(token, "call", "tag", "other"), { caller: alice, callee: bob, from: "caller" });
  assert.equal(tokens.open(token, "call", "other", "tag")?.from, "callee");
  const inward = tokens.seal({ caller: provider, callee: alice }, "call", "tag");
  assert.deepEqual(tokens.open(inward, "call", "tag", "other"), { caller: provider, callee: alice, from: "caller" });
});

test("a name that does not fit into a token is left out, and the flows are there", () => {
  const tokens = new FlowTokens(testCrypto, [key]);
  for (const [length, said] of [
    [127, 127],
    [128, 0],
  ] as const) {
    const caller = { ...alice, name: "a".repeat(length) };
    const opened = tokens.open(tokens.seal({ caller, callee: bob }, "call", "tag"), "call", "tag", "other");
    assert.deepEqual([opened?.caller.name.length, opened?.caller.phone, opened?.callee], [said, alice.phone, bob]);
  }
});

test("a token is good for its call alone, and for who has the key", () => {
  const tokens = new FlowTokens(testCrypto, [key]);
  const token = tokens.seal({ caller: alice, callee: bob }, "call", "tag");
  assert.equal(tokens.open(token, "other", "tag", "other"), undefined);
  assert.equal(new FlowTokens(testCrypto, [other]).open(token, "call", "tag", "other"), undefined);
  assert.ok(new FlowTokens(testCrypto, [other, key]).open(token, "call", "tag", "other"), "an older key");
});

test("a token with one character changed, or cut, is none", () => {
  const tokens = new FlowTokens(testCrypto, [key]);
  const token = tokens.seal({ caller: alice, callee: provider }, "call", "tag");
  for (let i = 0; i < token.length; i++) {
    const changed = token.slice(0, i) + (token[i] === "A" ? "B" : "A") + token.slice(i + 1);
    assert.equal(tokens.open(changed, "call", "tag", "other"), undefined, changed);
    assert.equal(tokens.open(token.slice(0, i), "call", "tag", "other"), undefined);
  }
});

function contactOf(contact: string, flow: SipFlow): string | undefined {
  const headers = [
    ["Via", "SIP/2.0/UDP x;branch=z9hG4bK1"],
    ["Contact", contact],
  ] as const;
  const request = createRequest({ method: "INVITE", uri: "sip:b@x", headers });
  aliasContact(request, flow);
  return request.header("contact");
}

test("L15: a Contact that is not where the phone is becomes the socket that reaches it, and what it was comes back", () => {
  for (const own of [
    "sip:alice@10.0.0.2:5062;ob",
    "sip:alice@10.0.0.2",
    "sip:10.0.0.2:5060;x=a%20b",
    "sip:a@[fd00::1]",
  ]) {
    const contact = contactOf(`"A" <${own}>;+sip.instance="<urn:uuid:1>"`, udp);
    const uri = contact?.match(/<([^>]*)>/)?.[1] as string;
    assert.match(uri, /198\.51\.100\.7:40000;transport=udp;/);
    assert.ok(contact?.startsWith('"A" <') && contact.endsWith('>;+sip.instance="<urn:uuid:1>"'));
    assert.ok(parseUri(uri) !== "malformed");
    assert.equal(originalContact(uri), own);
  }
});

test("a Contact that is right stays as it is", () => {
  assert.equal(contactOf("<sip:a@198.51.100.7:40000>", udp), "<sip:a@198.51.100.7:40000>");
  assert.equal(contactOf("<sip:a@[2001:db8::7]:5>", tls), "<sip:a@[2001:db8::7]:5>");
  assert.equal(contactOf("<tel:+1234>", udp), "<tel:+1234>");
});

test("what is no alias, or hides no URI, is taken for none", () => {
  assert.equal(originalContact("sip:a@x"), undefined);
  assert.equal(originalContact("sip:a@x;postern-contact=!!"), undefined);
  assert.equal(originalContact(`sip:a@x;postern-contact=${btoa("no uri\r\n").replaceAll("=", "")}`), undefined);
});
