/** Descriptions that are not relayed, because two readers could see two in them. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parseSdp } from "../../../src/core/sdp/document.ts";
import { flawOf, type SdpFlaw } from "../../../src/core/sdp/flaw.ts";
import { voiceSdp } from "../relay/world.ts";
import { CARELESS, SAMPLES } from "./samples.ts";

function flaw(text: string): SdpFlaw | undefined {
  const document = parseSdp(text);
  assert.ok(typeof document !== "string", String(document));
  return flawOf(document);
}

const good = voiceSdp("192.0.2.1:4000");
const without = (line: string): string => good.replace(new RegExp(`^${line}=.*\r\n`, "gm"), "");
const more = (line: string): string => `${good}${line}\r\n`;

suite("what phones and browsers send is taken", () => {
  for (const [name, text] of Object.entries(SAMPLES)) {
    if (text !== CARELESS) test(name, () => assert.equal(flaw(text), undefined));
  }
  const cases: Record<string, string> = {
    "without s= and t=": without("s").replace("t=0 0\r\n", ""),
    "without any stream": good.slice(0, good.indexOf("m=")),
    "line ends of LF alone, and none at the end": good.replaceAll("\r\n", "\n").trimEnd(),
    "empty lines": `${good}\r\n \r\n`,
    "a name of two words in o=": good.replace("o=-", "o=Alice Liddell"),
    "c= in the stream alone": `${without("c")}c=IN IP4 192.0.2.1\r\n`,
    "no c= where every stream is refused": without("c").replace("4000", "0"),
    "a host's name": good.replaceAll("192.0.2.1", "phone.example"),
  };
  for (const [name, text] of Object.entries(cases)) test(name, () => assert.equal(flaw(text), undefined));
});

suite("what is not", () => {
  const cases: Record<string, readonly [string, SdpFlaw]> = {
    "v= alone": ["v=0\r\n", "origin"],
    "anything behind v=": ["v=hello", "version"],
    "another version": [good.replace("v=0", "v=1"), "version"],
    "two in one": [good + good, "version"],
    "no o=": [without("o"), "origin"],
    "two o=": [good.replace("s=-", "o=- 1 1 IN IP4 192.0.2.9"), "origin"],
    "half an o=": [good.replace(/o=.*/, "o=- 1 1 192.0.2.1"), "origin"],
    "no c= for a stream": [without("c"), "connection"],
    "half a c=": [good.replace(/c=.*/, "c=192.0.2.1"), "connection"],
    "half a c= in the stream": [more("c=IN"), "connection"],
    "no port": [good.replace("audio 4000", "audio"), "media"],
    "a port beyond all": [good.replace("4000", "70000"), "media"],
    "no format": [good.replace(" 0 101", ""), "media"],
    "a line that is none": [more("c = IN IP4 192.0.2.66"), "line"],
    "a line that begins with a space": [more(" c=IN IP4 192.0.2.66"), "line"],
    "a line in capitals": [more("C=IN IP4 192.0.2.66"), "line"],
    "a line within a line": [good.replace("s=-", "s=-\rc=IN IP4 192.0.2.66"), "line"],
    "lines that end with CR": [good.replaceAll("\r\n", "\r"), "line"],
    NUL: [good.replace("s=-", "s=\0"), "line"],
  };
  for (const [name, [text, why]] of Object.entries(cases)) test(name, () => assert.equal(flaw(text), why));
});
