/** Session descriptions: whatever comes, it is refused or written again byte for byte, and edits change what they say. */
import assert from "node:assert/strict";
import {
  directionOf,
  formatParametersOf,
  formatRtpmap,
  parseCrypto,
  parseRtpmap,
} from "../../src/core/sdp/attributes.ts";
import { connectionOf, formatConnection, parseRtcp } from "../../src/core/sdp/connection.ts";
import { parseSdp, type SdpDocument } from "../../src/core/sdp/document.ts";
import { hasIce, removeIce } from "../../src/core/sdp/ice-attributes.ts";
import { mediaLineOf, setMediaPort } from "../../src/core/sdp/media-line.ts";
import { SAMPLES } from "../core/sdp/samples.ts";
import type { Target } from "./target.ts";

export const sdpSeeds: readonly Uint8Array[] = Object.values(SAMPLES).map((text) => new TextEncoder().encode(text));

function read(document: SdpDocument): void {
  for (const section of document.media) {
    const connection = connectionOf(document, section);
    if (connection?.address !== undefined) assert.ok(formatConnection(connection.address).startsWith("IN IP"));
    directionOf(document, section);
    for (const format of mediaLineOf(section)?.formats ?? []) formatParametersOf(section, format);
    for (const value of section.attributes("rtpmap")) {
      const map = parseRtpmap(value);
      if (map !== undefined) assert.deepEqual(parseRtpmap(formatRtpmap(map)), map);
    }
    for (const value of section.attributes("crypto")) parseCrypto(value);
    parseRtcp(section.attribute("rtcp") ?? "");
  }
}

export const sdpTarget: Target = {
  name: "sdp",
  seeds: sdpSeeds,
  run(input: Uint8Array): boolean {
    const text = Buffer.from(input).toString("latin1");
    const document = parseSdp(text);
    if (typeof document === "string") return false;
    assert.equal(document.format(), text);
    read(document);
    for (const section of [document.session, ...document.media]) removeIce(section);
    assert.ok(!hasIce(document));
    for (const section of document.media) setMediaPort(section, 4242);
    document.session.set("c", "IN IP4 203.0.113.1");
    const again = parseSdp(document.format());
    assert.ok(typeof again !== "string" && again.session.value("c") === "IN IP4 203.0.113.1");
    assert.equal(again.media.length, document.media.length);
    for (const section of again.media) assert.ok([4242, undefined].includes(mediaLineOf(section)?.port));
    return true;
  },
  decode(input: Uint8Array): void {
    const document = parseSdp(Buffer.from(input).toString("latin1"));
    if (typeof document !== "string") read(document);
  },
};
