/** Codes as users read them out: what they hold, and that no slip of the pen goes unnoticed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Address, formatAddress, parseIp } from "../../../src/core/base/address.ts";
import { formatCode, parseCode, SECRET_BYTES } from "../../../src/core/rendezvous/code.ts";

const alphabet = [..."0123456789ABCDEFGHJKMNPQRSTVWXYZ"];
const secret = Uint8Array.from({ length: SECRET_BYTES }, (_, i) => 17 * i + 3);
const at = (ip: string, port: number): Address => parseIp(ip, port)!;
const plain = formatCode({ address: at("203.0.113.1", 49_170), secret }).replaceAll("-", "");

const codes = fc
  .tuple(
    fc.oneof(fc.ipV4(), fc.ipV6()).map((ip) => parseIp(ip)!),
    fc.nat({ max: 65_535 }),
    fc.uint8Array({ minLength: SECRET_BYTES, maxLength: SECRET_BYTES }),
  )
  .map(([ip, port, bytes]) => ({ address: { ...ip, port, text: "" }, secret: bytes }));

describe("codes", () => {
  test("what is formatted is parsed again", () => {
    fc.assert(
      fc.property(codes, (code) => {
        const found = parseCode(formatCode(code))!;
        assert.equal(formatAddress(found.address), formatAddress(code.address));
        assert.deepEqual(found.secret, code.secret);
      }),
    );
  });

  test("30 characters for IPv4 in six groups, 50 for IPv6", () => {
    assert.match(formatCode({ address: at("203.0.113.1", 49_170), secret }), /^([0-9A-Z]{5}-){5}[0-9A-Z]{5}$/);
    assert.match(formatCode({ address: at("2001:db8::1", 49_170), secret }), /^([0-9A-Z]{5}-){9}[0-9A-Z]{5}$/);
  });

  test("case, spaces, other hyphens and letters that look like digits do not matter", () => {
    const written = `  ${plain
      .toLowerCase()
      .replaceAll("0", "o")
      .replaceAll("1", "l")
      .replace(/(.{7})/g, "$1 – ")}\n`;
    assert.equal(formatAddress(parseCode(written)!.address), "203.0.113.1:49170");
  });

  test("each wrong character, and each two, are noticed", () => {
    let looked = 0;
    const differs = (text: string): void => {
      looked++;
      if (parseCode(text) !== undefined) assert.fail(`${text} was taken for ${plain}`);
    };
    const replace = (text: string, i: number, by: string): string => text.slice(0, i) + by + text.slice(i + 1);
    for (let i = 0; i < plain.length; i++) {
      for (const wrong of alphabet) if (wrong !== plain[i]) differs(replace(plain, i, wrong));
      // Of two every fifth character is tried: the sum is linear, so that what is put there hardly matters.
      for (let j = i + 1; j < plain.length; j++) {
        for (let n = 1; n < alphabet.length; n += 5) {
          const [one, two] = [plain[i]!, plain[j]!].map((c, k) => alphabet[(alphabet.indexOf(c) ^ (n + k)) % 32]!);
          differs(replace(replace(plain, i, one!), j, two!));
        }
        if (plain[i] !== plain[j]) differs(replace(replace(plain, i, plain[j]!), j, plain[i]!));
      }
    }
    assert.ok(looked > 3_000);
  });

  test("whatever is typed is a code or none", () => {
    const texts = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...alphabet), minLength: 28, maxLength: 52 }),
    );
    fc.assert(
      fc.property(texts, (text) => assert.equal(parseCode(text), undefined)),
      { seed: 1 },
    );
    for (const text of ["", "-", "0".repeat(30), plain.slice(1), `${plain}0`, `0${plain}`, "U".repeat(30)]) {
      assert.equal(parseCode(text), undefined, text);
    }
  });
});
