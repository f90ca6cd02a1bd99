import assert from "node:assert/strict";
import { test } from "node:test";
import { citations, page } from "../../tools/rfc.ts";

const source = `
/** The nonce cookie (RFC 8489 §9.2). */
  // RFC 8656 §7.2: a second Allocate on the 5-tuple is 437
  // unless it is a retransmission.
  if (known) return refuse(437); // RFC 8656 §7.2: and here.
  // DEVIATES RFC 8445 §6.1.2.6: a reason.
/** RFC 8656 §18.6, RFC 8489 §14.1: address family codes. */
/**
 * RFC 8489 §18.1 with verified erratum 6290: bit 0 is the rightmost.
 * @param bit which
 */
`;

test("a citation is its clauses and its whole sentence, a mention is not one", () => {
  const found = citations("src/a.ts", source).map(({ rfc, section, text, deviates }) => ({
    rfc,
    section,
    text,
    deviates,
  }));
  assert.deepEqual(found, [
    { rfc: 8489, section: "9.2", text: undefined, deviates: false },
    {
      rfc: 8656,
      section: "7.2",
      text: "a second Allocate on the 5-tuple is 437 unless it is a retransmission.",
      deviates: false,
    },
    { rfc: 8656, section: "7.2", text: "and here.", deviates: false },
    { rfc: 8445, section: "6.1.2.6", text: "a reason.", deviates: true },
    { rfc: 8656, section: "18.6", text: "address family codes.", deviates: false },
    { rfc: 8489, section: "14.1", text: "address family codes.", deviates: false },
    { rfc: 8489, section: "18.1", text: "with verified erratum 6290 bit 0 is the rightmost.", deviates: false },
  ]);
});

test("the page groups by RFC and section and lists deviations apart", () => {
  const text = page(
    citations("src/a.ts", source),
    citations("test/a.test.ts", 'test("RFC 8656 §7.2: twice", () => {});'),
  );
  const [deviations = "", ...rest] = text.split("\n## ").slice(1);
  assert.match(deviations, /RFC 8445 \[§6\.1\.2\.6\].*a reason\. \(\[a\.ts\]\(\.\.\/\.\.\/src\/a\.ts\)\)/);
  assert.deepEqual(
    rest.map((part) => part.slice(0, 10)),
    ["[RFC 8489]", "[RFC 8656]"],
  );
  assert.match(text, /§7\.2.*\n {2}- a second .*\n {2}- and here.*\n {2}- tested in \[test\/a\.test\.ts\]/);
});
