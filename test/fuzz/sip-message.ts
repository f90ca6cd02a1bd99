/** SIP messages and their framing on streams: whatever comes, nothing throws, and an edit changes what it names alone. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createResponse } from "../../src/core/sip/message/build.ts";
import { MALFORMED } from "../../src/core/sip/message/characters.ts";
import { judgeRequest } from "../../src/core/sip/message/judge.ts";
import type { SipMessage } from "../../src/core/sip/message/message.ts";
import { bodyParts, withPart } from "../../src/core/sip/message/multipart.ts";
import { parseMessage } from "../../src/core/sip/message/parse.ts";
import { SipStreamFramer } from "../../src/core/sip/message/stream-framer.ts";
import { formatUri, parseUri } from "../../src/core/sip/message/uri.ts";
import { isSameUri } from "../../src/core/sip/message/uri-comparison.ts";
import type { SeededRandom } from "../support/crypto.ts";
import type { Target } from "./target.ts";

const directory = new URL("../vectors/rfc4475/", import.meta.url);
const torture = readdirSync(directory).map((file) => new Uint8Array(readFileSync(new URL(file, directory))));

const proxied = [
  "SIP/2.0 200 OK",
  "v: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKa , SIP/2.0/TLS [2001:db8::1]:5061;rport;branch=z9hG4bKb",
  'f: "A" <sip:a@b>;tag=1',
  "t: <sip:c@d>;tag=2",
  "i: 1@2",
  "CSeq: 1 INVITE",
  "Record-Route: <sip:a;lr>,<sip:b;lr>",
  'Contact: "x, y" <sip:c@10.0.0.1?a=b>;q=0.3, sip:c@e;expires=5',
  'WWW-Authenticate: Digest realm="x", nonce="y", qop="auth,auth-int"',
  "Content-Type: multipart/mixed;boundary=x",
  "",
  "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--",
].join("\r\n");

const seeds = [...torture, Buffer.from(proxied, "latin1")];

/** All lines but those of some names, which an edit may have touched. */
function others(message: SipMessage, ...touched: readonly string[]): string[] {
  return message.headers.fields
    .filter(({ name }) => !touched.includes(name))
    .map(({ source, at, end }) => source.slice(at, end));
}

function readAll(message: SipMessage): void {
  void [message.vias, message.contacts, message.routes, message.recordRoutes, message.paths, message.expires];
  void [message.contentType, message.event, message.fromTag, message.toTag, message.cseq, message.maxForwards];
  for (const name of ["Authorization", "WWW-Authenticate"]) message.credentials(name);
  for (const name of ["Require", "Supported", "Contact"]) message.list(name);
  for (const { uri } of [message.from, message.to]) {
    const again = parseUri(formatUri(uri));
    assert.ok(again !== MALFORMED && isSameUri(uri, again) && formatUri(again) === formatUri(uri));
  }
}

function checkEdits(message: SipMessage): void {
  const text = message.format();
  const copy = message.copy();
  copy.prependVia("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
  copy.setViaParam("received", "192.0.2.2");
  assert.deepEqual(others(copy, "via"), others(message, "via"));
  assert.equal(copy.removeTopVia()?.params.get("received"), "192.0.2.2");
  assert.equal(copy.format(), text, "a Via that came and went leaves nothing behind");
  copy.setViaParam("rport", "5060");
  assert.equal(copy.via.params.get("rport"), "5060");
  if (message.contacts !== MALFORMED && copy.replaceContactUri(0, "sip:x@192.0.2.3")) {
    assert.ok(Array.isArray(copy.contacts) && copy.contacts[0].uriText === "sip:x@192.0.2.3");
  }
  copy.prependRoute("<sip:x;lr>");
  assert.equal(copy.popRoute()?.uriText, "sip:x;lr");
  assert.deepEqual(others(copy, "via", "contact"), others(message, "via", "contact"));
  const again = parseMessage(copy.format());
  assert.ok(again.kind === message.kind, "what was edited is still a message");
  assert.equal(again.format(), copy.format());
  assert.equal(message.format(), text, "the original knows nothing of it");
}

function checkBody(message: SipMessage): void {
  for (const part of bodyParts(message.body, message.header("content-type") ?? "")) {
    assert.equal(message.body.slice(part.at, part.end), part.text);
    assert.equal(withPart(message.body, part, part.text), message.body);
  }
}

/** In pieces a stream gives the same messages as whole. */
function checkFraming(text: string, random: SeededRandom): void {
  const messages = (cuts: () => number): readonly [string[], string | undefined] => {
    const framer = new SipStreamFramer();
    const found: string[] = [];
    for (let at = 0; at < text.length; ) {
      const end = at + cuts();
      framer.push(text.slice(at, end));
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
        if (frame.kind !== "pong") found.push(frame.kind === "ping" ? "ping" : frame.text);
      }
      at = end;
    }
    return [found, framer.failure];
  };
  assert.deepEqual(
    messages(() => 1 + random.below(40)),
    messages(() => text.length),
  );
}

function latin1(input: Uint8Array): string {
  return Buffer.from(input.buffer, input.byteOffset, input.length).toString("latin1");
}

export const sipMessageTarget: Target = {
  name: "sip-message",
  seeds,
  run(input: Uint8Array, random: SeededRandom): boolean {
    const text = latin1(input);
    checkFraming(text, random);
    const message = parseMessage(text);
    if (message.kind === "failure") {
      if (message.request !== undefined)
        createResponse(message.request, message.refusal.status, { toTag: "t" }).format();
      return false;
    }
    const begin = text.length - text.replace(/^(\r\n)+/, "").length;
    const said = text.slice(begin);
    const firstLine = said.slice(0, said.indexOf("\r\n"));
    // RFC 3261 §7.1, §7.2: we write SIP in capitals, and the space behind a code that has no reason.
    const lines = [firstLine, `${firstLine} `].map((line) => line.toLowerCase());
    assert.ok(lines.includes(message.startLine.toLowerCase()));
    if (message.headers.value("content-length") === undefined) {
      assert.equal(message.format(), message.startLine + said.slice(firstLine.length));
    }
    assert.ok(
      text.startsWith(message.format().slice(message.startLine.length), begin + text.slice(begin).indexOf("\r\n")),
    );
    readAll(message);
    checkEdits(message);
    checkBody(message);
    if (message.kind === "request") {
      judgeRequest(message, { role: "proxy", schemes: ["sip"], extensions: [] });
      judgeRequest(message, { role: "server", schemes: ["sip"], extensions: [], contentTypes: ["application/sdp"] });
      const response = createResponse(message, 200, { toTag: "t" });
      assert.equal(parseMessage(response.format()).kind, "response");
    }
    return true;
  },
  decode(input: Uint8Array): void {
    const text = latin1(input);
    const message = parseMessage(text);
    if (message.kind !== "failure") message.format();
    const framer = new SipStreamFramer();
    for (let at = 0; at < text.length; at += 7) {
      framer.push(text.slice(at, at + 7));
      while (framer.next() !== undefined);
    }
  },
};
