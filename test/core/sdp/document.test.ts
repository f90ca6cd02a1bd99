/** Descriptions are read as another parser reads them, and written byte for byte as they came. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { formatIp, parseIp } from "../../../src/core/base/address.ts";
import {
  directionOf,
  formatParametersOf,
  formatRtpmap,
  parseCrypto,
  parseFingerprint,
  parseRtpmap,
  setDirection,
} from "../../../src/core/sdp/attributes.ts";
import { parseCandidate } from "../../../src/core/sdp/candidate.ts";
import {
  connectionOf,
  formatConnection,
  isUnspecified,
  parseConnection,
  parseRtcp,
} from "../../../src/core/sdp/connection.ts";
import { MAX_SDP_LENGTH, parseSdp, type SdpDocument } from "../../../src/core/sdp/document.ts";
import { hasIce, removeIce } from "../../../src/core/sdp/ice-attributes.ts";
import { mediaLineOf, parseMediaLine, setMediaPort } from "../../../src/core/sdp/media-line.ts";
import type { SdpSection } from "../../../src/core/sdp/section.ts";
import { type OracleMedia, oracle } from "./oracle.ts";
import { BROWSER, CARELESS, FAX, HELD, HOST_NAME, PHONE, SAMPLES } from "./samples.ts";

function parsed(text: string): SdpDocument {
  const document = parseSdp(text);
  assert.ok(typeof document !== "string", String(document));
  return document;
}

function media(document: SdpDocument, index = 0): SdpSection {
  return document.media[index] as SdpSection;
}

suite("RFC 8866 §5: what is not edited stays byte for byte", () => {
  for (const [name, text] of Object.entries(SAMPLES)) {
    test(name, () => assert.equal(parsed(text).format(), text));
  }

  test("any text behind v=", () => {
    const line = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom("m=", "a=x", "c=IN IP4 1.2.3.4", "\r", "\0"));
    fc.assert(
      fc.property(fc.array(fc.tuple(line, fc.constantFrom("\r\n", "\n", "\r", ""))), (lines) => {
        const text = `v=0\n${lines.flat().join("")}`;
        assert.equal(parsed(text).format(), text);
      }),
    );
  });
});

suite("what is no description, or more than any call needs", () => {
  const cases: Record<string, readonly [string, string]> = {
    nothing: ["", "not-sdp"],
    "o= first": ["o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\n", "not-sdp"],
    "65,536 characters": [`v=0\r\n${"a".repeat(MAX_SDP_LENGTH)}`, "too-long"],
    "4,001 lines": [`v=0\n${"a=x\n".repeat(4_000)}`, "too-many-lines"],
    "129 streams": [`v=0\n${"m=x\n".repeat(129)}`, "too-many-media"],
  };
  for (const [name, [text, why]] of Object.entries(cases)) test(name, () => assert.equal(parseSdp(text), why));
});

suite("the same as sdp-transform reads", () => {
  // It reads neither a count of ports nor white space behind a colon.
  for (const [name, text] of Object.entries({ ...SAMPLES, CARELESS: "v=0\r\n", HELD: HELD.replace("/2", "") })) {
    test(name, () => {
      const [ours, theirs] = [parsed(text), oracle.parse(text)];
      assert.equal(ours.media.length, theirs.media.length);
      for (const [index, section] of ours.media.entries()) {
        agree(ours, section, theirs.media[index] as OracleMedia, theirs.connection, theirs.direction);
      }
    });
  }

  function agree(
    document: SdpDocument,
    section: SdpSection,
    theirs: OracleMedia,
    sessionConnection: OracleMedia["connection"],
    sessionDirection: string | undefined,
  ): void {
    const line = mediaLineOf(section);
    assert.deepEqual(
      [line?.kind, line?.port, line?.protocol, line?.formats.join(" ")],
      [theirs.type, theirs.port, theirs.protocol, String(theirs.payloads)],
    );
    const connection = connectionOf(document, section);
    const expected = theirs.connection ?? sessionConnection;
    assert.deepEqual([connection?.host, connection?.family], [expected?.ip, expected?.version]);
    assert.equal(directionOf(document, section), theirs.direction ?? sessionDirection ?? "sendrecv");
    assert.deepEqual(
      section.attributes("rtpmap").map((value) => {
        const map = parseRtpmap(value);
        return [map?.payloadType, map?.name, map?.clockRate, map?.channels];
      }),
      theirs.rtp.map(({ payload, codec, rate, encoding }) => [payload, codec, rate, Number(encoding ?? 1)]),
    );
    for (const { payload, config } of theirs.fmtp) assert.equal(formatParametersOf(section, String(payload)), config);
    const rtcp = section.attribute("rtcp");
    const place = rtcp === undefined ? undefined : parseRtcp(rtcp);
    assert.deepEqual([place?.port, place?.connection?.host], [theirs.rtcp?.port, theirs.rtcp?.address]);
    assert.equal(section.has("rtcp-mux"), theirs.rtcpMux !== undefined);
    const ptime = section.attribute("ptime");
    assert.equal(ptime === undefined ? undefined : Number(ptime), theirs.ptime);
    assert.equal(section.attribute("ice-ufrag"), theirs.iceUfrag);
    assert.equal(section.attribute("setup"), theirs.setup);
    assert.deepEqual(
      section.attributes("crypto").map((value) => {
        const crypto = parseCrypto(value);
        return [crypto?.tag, crypto?.suite, crypto?.keys];
      }),
      (theirs.crypto ?? []).map(({ id, suite: name, config }) => [id, name, config]),
    );
    for (const [n, value] of section.attributes("candidate").entries()) {
      const candidate = parseCandidate(`candidate:${value}`);
      const other = theirs.candidates?.[n];
      if (other?.transport !== "udp") assert.equal(candidate.kind, "unusable");
      else {
        assert.ok(candidate.kind === "candidate");
        assert.deepEqual(
          [formatIp(candidate.candidate.address), candidate.candidate.address.port],
          [other.ip, other.port],
        );
      }
    }
  }

  test("what an edit makes, too", () => {
    const document = parsed(PHONE);
    document.session.set("c", "IN IP4 203.0.113.5");
    setMediaPort(media(document), 40_000);
    setDirection(media(document), "recvonly");
    media(document).setAttribute("rtcp", "40001");
    const theirs = oracle.parse(document.format());
    assert.equal(theirs.connection?.ip, "203.0.113.5");
    const [audio, video] = theirs.media as [OracleMedia, OracleMedia];
    assert.deepEqual([audio.port, audio.direction, audio.rtcp?.port], [40_000, "recvonly", 40_001]);
    assert.deepEqual([video.port, video.connection?.ip], [51_372, "10.0.0.6"]);
  });
});

suite("lines", () => {
  test("m=: a number of ports, and the whole rest of the line", () => {
    assert.deepEqual(parseMediaLine("audio 4000/2 RTP/AVP 0 8"), {
      kind: "audio",
      port: 4000,
      portCount: 2,
      protocol: "RTP/AVP",
      formats: ["0", "8"],
    });
    for (const bad of [
      "",
      "audio",
      "audio x RTP/AVP 0",
      "audio 1",
      "audio 65536 RTP/AVP",
      "audio 1/0 x",
      "a 1/2/3 x",
    ]) {
      assert.equal(parseMediaLine(bad), undefined, bad);
    }
    const document = parsed(HELD);
    setMediaPort(media(document), 0);
    assert.ok(document.format().includes("m=audio 0 RTP/AVP 0\r\nm=audio 5000 RTP/AVP 0\r\n"));
    assert.equal(mediaLineOf(document.session), undefined);
  });

  test("RFC 8866 §5.7: c= with an address, a name, a scope, in either family", () => {
    assert.deepEqual(parseConnection("IN IP4 host.example.com"), {
      host: "host.example.com",
      family: 4,
      address: undefined,
    });
    assert.deepEqual(parseConnection("IN IP4 224.2.36.42/127")?.address, parseIp("224.2.36.42"));
    assert.equal(parseConnection("in ip6 2001:db8::1")?.family, 6);
    assert.equal(parseConnection("IN IP4 2001:db8::1")?.family, 6, "the address counts");
    for (const bad of ["", "IN IP4", "ATM NSAP x", "IN IP5 x", "IN IP4 a b", "IN IP4 /127"]) {
      assert.equal(parseConnection(bad), undefined, bad);
    }
    assert.equal(formatConnection(parseIp("fe80::1%eth0") ?? assert.fail()), "IN IP6 fe80::1");
    assert.ok(isUnspecified(parseIp("0.0.0.0") ?? assert.fail()) && isUnspecified(parseIp("::") ?? assert.fail()));
    assert.ok(!isUnspecified(parseIp("::1") ?? assert.fail()));
  });

  test("RFC 3605 §2.1: a=rtcp with and without an address", () => {
    assert.deepEqual(parseRtcp("53020"), { port: 53_020, connection: undefined });
    assert.equal(parseRtcp("53020 IN IP6 2001:db8::1")?.connection?.host, "2001:db8::1");
    for (const bad of ["", "x", "1 IN", "70000"]) assert.equal(parseRtcp(bad), undefined, bad);
  });

  test("rtpmap, there and back; what is none", () => {
    for (const text of ["0 PCMU/8000", "111 opus/48000/2"]) {
      assert.equal(formatRtpmap(parseRtpmap(text) ?? assert.fail()), text);
    }
    for (const bad of ["", "0", "128 x/8000", "0 PCMU", "0 PCMU/0", "0 /8000", "0 PCMU/8000 x"]) {
      assert.equal(parseRtpmap(bad), undefined, bad);
    }
    assert.equal(formatParametersOf(media(parsed(PHONE)), "0"), "");
  });

  test("keys and fingerprints", () => {
    assert.deepEqual(parseCrypto(media(parsed(FAX)).attribute("crypto") as string)?.parameters, ["UNENCRYPTED_SRTCP"]);
    for (const bad of ["", "x AES inline:y", "1 AES"]) assert.equal(parseCrypto(bad), undefined);
    assert.equal(parseFingerprint("SHA-256 4a:AD")?.hash, "sha-256");
    for (const bad of ["", "sha-256", "sha-256 4a:zz", "sha-256 4a:AD x"])
      assert.equal(parseFingerprint(bad), undefined);
  });

  test("RFC 8866 §6.7: a direction of its own, else the session's, else both ways", () => {
    const held = parsed(HELD);
    assert.deepEqual(
      held.media.map((section) => directionOf(held, section)),
      ["inactive", "sendonly"],
    );
    const phone = parsed(PHONE);
    assert.equal(directionOf(phone, media(phone, 1)), "sendrecv");
  });
});

suite("edits", () => {
  test("a line that is not there is added where RFC 8866 §5 wants it", () => {
    const document = parsed(PHONE);
    media(document).set("c", "IN IP4 203.0.113.9");
    document.session.set("b", "AS:64");
    const lines = document.format().split("\r\n");
    assert.equal(lines[lines.indexOf("m=audio 49170 RTP/AVP 0 8 101") + 1], "c=IN IP4 203.0.113.9");
    assert.equal(lines[lines.indexOf("c=IN IP4 10.0.0.5") + 1], "b=AS:64");
  });

  test("a text that breaks off gets the end of its last line, and new lines end as its own do", () => {
    const document = parsed(CARELESS);
    media(document).addAttribute("rtcp", "4001");
    assert.equal(document.format(), `${CARELESS}\na=rtcp:4001\n`);
  });

  test("an attribute is replaced in its place, the same one twice once; removed, everywhere", () => {
    const document = parsed(CARELESS);
    const audio = media(document);
    audio.setAttribute("X-a", "1");
    assert.ok(document.format().includes("\na=X-a:1\na=X-a\n"));
    audio.removeAttributes((name) => name === "X-a" || name === "odd");
    assert.ok(!document.format().includes("X-a"));
    assert.ok(document.format().includes("\na = odd\n"), "white space before = makes it no line of SDP");
    audio.setAttribute("rtcp-mux", "");
    assert.ok(document.format().endsWith("\na=rtcp-mux\n"));
  });

  test("ICE is taken out, and nothing else", () => {
    const document = parsed(BROWSER);
    assert.ok(hasIce(document));
    for (const section of [document.session, ...document.media]) removeIce(section);
    assert.ok(!hasIce(document));
    const kept = BROWSER.split("\r\n").filter((line) => !/^a=(ice-|candidate)/.test(line));
    assert.equal(document.format(), kept.join("\r\n"));
    assert.equal(kept.length, BROWSER.split("\r\n").length - 5);
  });

  test("a host name in c= stays where it is not edited", () => {
    const document = parsed(HOST_NAME);
    setMediaPort(media(document), 1);
    assert.ok(document.format().includes("c=IN IP4 host.example.com"));
  });
});
