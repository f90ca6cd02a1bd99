/** Lines that users paste: whole, in parts, with what mail and chat put around them, and with slips. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatLine, readLine } from "../../src/cli/check/peer/line.ts";
import { Pasting } from "../../src/cli/check/peer/pasting.ts";

const description = [
  "a=ice-ufrag:8hhY",
  "a=ice-pwd:asd88fgpdd777uzjYhagZg",
  "a=ice-options:ice2 trickle",
  "a=candidate:1 1 udp 2130706431 10.0.1.1 8998 typ host",
  "a=candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998",
  "a=end-of-candidates",
  "",
].join("\r\n");
const line = formatLine(description);
const never = new AbortController().signal;

describe("lines", () => {
  test("a usual description takes less than 250 characters, none of which a chat changes", () => {
    assert.match(line, /^postern1[\w-]+$/);
    assert.ok(line.length < 250, `${line.length}`);
  });

  test("whatever is put around and between, the text is read; a part of it is a part", () => {
    const between = fc.constantFrom("\n", "\r\n", " ", "\t", "\n> ", '"', "“", "`");
    const cuts = fc.array(fc.tuple(fc.nat({ max: line.length }), between), { maxLength: 8 });
    fc.assert(
      fc.property(fc.string({ maxLength: 2_000 }), cuts, fc.string(), (text, all, before) => {
        const whole = formatLine(text);
        const broken = all.reduce((done, [at, what]) => {
          const place = Math.max(8, at % (done.length + 1));
          return done.slice(0, place) + what + done.slice(place);
        }, whole);
        assert.deepEqual(readLine(`${before}\n> ${broken}"`), { kind: "whole", text });
        assert.equal(readLine(whole.slice(0, -2)).kind, "part");
      }),
    );
  });

  test("each changed character is noticed", () => {
    for (let i = "postern1".length; i < line.length; i++) {
      const changed = `${line.slice(0, i)}${line[i] === "A" ? "B" : "A"}${line.slice(i + 1)}`;
      const read = readLine(changed);
      // The last character may have bits that mean nothing.
      assert.ok(read.kind !== "whole" || read.text === description, `character ${i}`);
    }
  });

  test("any text is read, and nothing inflates beyond its bound", () => {
    fc.assert(fc.property(fc.string(), (text) => assert.notEqual(readLine(`postern1${text}`).kind, "whole")));
    assert.equal(readLine(formatLine("x".repeat(16_001))).kind, "mistyped");
    assert.equal(readLine("hello").kind, "none");
  });
});

describe("pasting", () => {
  const start = () => {
    const input = new PassThrough();
    const said: string[] = [];
    const pasting = new Pasting(input as unknown as NodeJS.ReadStream, (text) => said.push(text));
    return { input, said, pasting };
  };

  test("parts are waited for, and what is wrong is told with what to do", async () => {
    const { input, said, pasting } = start();
    using _ = pasting;
    const found = pasting.description("own", never);
    const say = async (text: string): Promise<void> => {
      input.write(text);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await say("hello\n");
    await say(`${formatLine("own")}\n`);
    await say(`${line.slice(0, 40)}A${line.slice(41)}\n`);
    assert.deepEqual(
      said.map((text) => /no line|own line|not as it was printed/.exec(text)?.[0]),
      ["no line", "own line", "not as it was printed"],
    );
    await say(line.slice(0, 60));
    await say(`\n  ${line.slice(60)}\n`);
    assert.equal(await found, description);
    await pasting.enter(never);
  });

  test("the end of input ends the waiting; a line without a break before it counts", async () => {
    const first = start();
    first.input.end(line.slice(0, 50));
    await assert.rejects(first.pasting.description("own", never), { code: "no-line" });
    const second = start();
    second.input.end(line);
    assert.equal(await second.pasting.description("own", never), description);
  });

  test("the signal ends it", async () => {
    const { pasting } = start();
    using _ = pasting;
    await assert.rejects(pasting.description("own", AbortSignal.timeout(10)), { name: "TimeoutError" });
  });
});
