import assert from "node:assert/strict";
import { test } from "node:test";
import { MALFORMED } from "../../../../src/core/sip/message/characters.ts";
import { parseCredentials } from "../../../../src/core/sip/message/credentials.ts";
import { formatUri, parseUri, type Uri } from "../../../../src/core/sip/message/uri.ts";
import { isSameUri } from "../../../../src/core/sip/message/uri-comparison.ts";

function uri(text: string): Uri {
  const parsed = parseUri(text);
  assert.ok(parsed !== MALFORMED, text);
  return parsed;
}

const good = [
  "sip:alice@atlanta.com",
  "sip:alice:secretword@atlanta.com;transport=tcp",
  "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
  "sip:+1-212-555-1212:1234@gateway.com;user=phone",
  "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
  "sip:alice;day=tuesday@atlanta.com",
  "sip:*21#@pbx.local:5062",
  "sip:[2001:db8::1]:5061;lr;ob",
  "tel:+1-201-555-0123",
  "tel:7042;phone-context=example.com",
  "tel:863-1234;phone-context=+1-914-555",
  "urn:service:sos",
];

test("RFC 3261 §19.1.3: URIs are read, and written the same again", () => {
  for (const text of good) assert.equal(formatUri(uri(text)), text);
});

test("what is no URI is told so", () => {
  const bad = [
    "",
    "sip:",
    "sip",
    "sip:a@",
    "sip:@b",
    "sip:a@b@c",
    "sip:a b@c",
    "sip:b:0",
    "sip:b:65536",
    "sip:b:",
    "sip:b;",
  ];
  bad.push(
    "sip:b;a=",
    "sip:b;a;a",
    "sip:b?",
    "sip:b?a",
    "sip:%4@b",
    "sip:[::1",
    "sip:[::1%25eth0]",
    "sip:::1",
    "<sip:b>",
  );
  bad.push("tel:", "tel:+", "tel:bob!", "1x:y", "sip:b;a=\u00ff", "sip:b/c", 'urn:"x"');
  for (const text of bad) assert.equal(parseUri(text), MALFORMED, text);
});

// The RFC's own lists.
const same = [
  ["sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"],
  ["sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"],
  ["sip:carol@chicago.com", "sip:carol@chicago.com;security=on"],
  [
    "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
    "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
  ],
  [
    "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
    "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
  ],
  ["sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"],
  ["tel:+1-201-555-0123", "tel:+1(201)5550123"],
] as const;
const different = [
  ["SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtlanTa.CoM;Transport=UDP"],
  ["sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"],
  ["sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"],
  ["sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"],
  ["sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"],
  ["sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"],
  ["sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"],
  ["sip:a%3Bb@c", "sip:a;b@c"],
  ["sip:a@b", "sips:a@b"],
  ["tel:+12015550123", "tel:+12015550123;ext=1"],
] as const;

test("RFC 3261 §19.1.4: which URIs are the same, either way round", () => {
  for (const [a, b] of same) assert.ok(isSameUri(uri(a), uri(b)) && isSameUri(uri(b), uri(a)), `${a} ${b}`);
  for (const [a, b] of different) assert.ok(!isSameUri(uri(a), uri(b)) && !isSameUri(uri(b), uri(a)), `${a} ${b}`);
});

test("RFC 7616 §3.4: credentials are parameters, each once", () => {
  const text = 'Digest username="a\\"b", realm="x, y" , nc=00000001,qop=auth,uri="sip:a@b;c"';
  const credentials = parseCredentials(text);
  assert.ok(credentials !== MALFORMED);
  assert.equal(credentials.scheme, "digest");
  assert.deepEqual(Object.fromEntries(credentials.params), {
    username: 'a"b',
    realm: "x, y",
    nc: "00000001",
    qop: "auth",
    uri: "sip:a@b;c",
  });
  for (const bad of ["", "Digest a", 'Digest a="b', "Digest a=b, a=c", "Digest a=b c=d"]) {
    assert.equal(parseCredentials(bad), MALFORMED, bad);
  }
});
