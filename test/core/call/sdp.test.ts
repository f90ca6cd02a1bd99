/** What a session description says of a call, in no protocol's words, and back. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { formatAddress } from "../../../src/core/base/address.ts";
import {
  type CallDescription,
  isHeld,
  type Place,
  type StreamDescription,
} from "../../../src/core/call/description.ts";
import { formatSdp, type SdpOrigin } from "../../../src/core/call/format-sdp.ts";
import { placeOf } from "../../../src/core/call/sdp.ts";
import { DIRECTIONS } from "../../../src/core/sdp/attributes.ts";
import { oracle } from "../sdp/oracle.ts";
import { BROWSER, CARELESS, FAX, HELD, HOST_NAME, PHONE } from "../sdp/samples.ts";
import { codec, described, EVENTS, only, PCMA, PCMU } from "./descriptions.ts";

const ORIGIN: SdpOrigin = { session: 7, version: 1, place: placeOf("192.0.2.1", 0) };

function at(place: Place | undefined): string {
  return place?.address === undefined ? `${place?.host}:${place?.port}` : formatAddress(place.address);
}

suite("from SDP", () => {
  test("a phone: places, codecs with their parameters, RTCP on the next port or where a=rtcp says", () => {
    const [audio, video] = described(PHONE).streams as [StreamDescription, StreamDescription];
    assert.deepEqual(
      [audio.kind, audio.carrier, at(audio.media), at(audio.control), audio.packetTime],
      ["audio", "rtp", "10.0.0.5:49170", "10.0.0.5:49171", 20],
    );
    assert.deepEqual(audio.codecs, [PCMU, PCMA, EVENTS]);
    assert.deepEqual([at(video.media), at(video.control)], ["10.0.0.6:51372", "10.0.0.7:53020"]);
    assert.equal(video.codecs[0]?.parameters, "profile-level-id=42e01f; packetization-mode=1");
  });

  test("RFC 3551 §6: payload types without words; RFC 8866 §5.7: a host name, which is no address", () => {
    const stream = only(described(HOST_NAME));
    assert.deepEqual(
      stream.codecs.map(({ name }) => name),
      ["PCMU", "GSM", "iLBC"],
    );
    assert.deepEqual([at(stream.media), stream.formats], ["host.example.com:3456", ["0", "1", "3", "99"]]);
  });

  test("a browser: candidates, keys of a handshake, RTCP on the same port, nothing at 0.0.0.0", () => {
    const stream = only(described(BROWSER));
    assert.deepEqual(
      [stream.isUnplaced, stream.media, stream.control, stream.isMultiplexed, stream.direction],
      [true, undefined, undefined, true, "recvonly"],
    );
    assert.deepEqual([stream.ice?.ufrag, stream.ice?.candidates.length, stream.ice?.options], ["F7gI", 1, ["trickle"]]);
    assert.deepEqual([stream.certificate?.hash, stream.certificate?.setup], ["sha-256", "actpass"]);
    assert.deepEqual(stream.codecs[0], codec(111, "opus", 48_000, 2, "minptime=10;useinbandfec=1"));
  });

  test("T.38, a refused stream, keys in the clear", () => {
    const [audio, fax] = described(FAX).streams as [StreamDescription, StreamDescription];
    assert.ok(audio.isRefused && !fax.isRefused);
    assert.deepEqual([audio.sharedKeys[0]?.suite, audio.sharedKeys[0]?.tag], ["AES_CM_128_HMAC_SHA1_80", 1]);
    assert.deepEqual(
      [fax.carrier, at(fax.media), fax.control, fax.codecs, fax.formats],
      ["udptl", "[2001:db8::5]:4002", undefined, [], ["t38"]],
    );
  });

  test("RFC 3264 §8.4: held by direction, or by 0.0.0.0", () => {
    assert.deepEqual(described(HELD).streams.map(isHeld), [true, true]);
    assert.ok(isHeld(only(described(CARELESS))));
    assert.ok(!isHeld(only(described(HOST_NAME))));
    assert.ok(isHeld(only(described(HOST_NAME.replace("host.example.com\r\nt", "0.0.0.0\r\nt")))));
  });

  test("RFC 8843 §6: a stream of a bundle with port 0 is meant; a refused one has no place for RTCP", () => {
    const bundled = only(described("v=0\nc=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0\na=bundle-only\n"));
    assert.deepEqual([bundled.isRefused, bundled.control], [false, undefined]);
    const refused = described(FAX).streams[0];
    assert.deepEqual([refused?.isRefused, refused?.control], [true, undefined]);
  });

  test("m= lines that cannot be read keep the places of those that follow", () => {
    const { streams } = described("v=0\nc=IN IP4 192.0.2.1\nm=\nm=audio 4000 RTP/AVP 0\nm=chat 1 TCP/MSRP *\n");
    assert.deepEqual(
      streams.map(({ isRefused, carrier }) => [isRefused, carrier]),
      [
        [true, "datagrams"],
        [false, "rtp"],
        [false, "stream"],
      ],
    );
    assert.equal(only(described("v=0\nm=audio 4000 RTP/AVP 0\n")).media, undefined, "no c= at all");
    assert.equal(only(described("v=0\nc=IN IP4 192.0.2.1\nm=audio 65535 RTP/AVP 0\n")).control, undefined);
  });
});

suite("to SDP", () => {
  for (const [name, text] of Object.entries({ PHONE, BROWSER, FAX, HELD, HOST_NAME })) {
    test(`${name}: the same description comes back, and another parser reads it`, () => {
      const before = described(text);
      const written = formatSdp(before, ORIGIN);
      const kept = ({ streams }: CallDescription) =>
        streams.map((stream) => (stream.isRefused ? [stream.kind, stream.profile] : stream));
      assert.deepEqual(kept(described(written)), kept(before));
      const theirs = oracle.parse(written);
      assert.deepEqual(
        theirs.media.map(({ type, protocol }) => [type, protocol]),
        before.streams.map(({ kind, profile }) => [kind, profile]),
      );
    });
  }

  test("RFC 3605 §2.1: RTCP on the next port of another address is said", () => {
    const control = placeOf("192.0.2.99", 3457);
    const stream: StreamDescription = { ...only(described(HOST_NAME)), media: placeOf("192.0.2.1", 3456), control };
    assert.deepEqual(only(described(formatSdp({ streams: [stream] }, ORIGIN))).control, control);
  });

  test("any voice stream, there and back", () => {
    const arbitrary = fc.record({
      direction: fc.constantFrom(...DIRECTIONS),
      isMultiplexed: fc.boolean(),
      media: fc.integer({ min: 1, max: 65_534 }).map((port) => placeOf("2001:db8::9", port)),
      control: fc.integer({ min: 1, max: 65_534 }).map((port) => placeOf("192.0.2.7", port)),
      packetTime: fc.constantFrom(undefined, 10, 20, 2.5),
    });
    fc.assert(
      fc.property(arbitrary, (fields) => {
        const stream: StreamDescription = { ...only(described(HOST_NAME)), ...fields, formats: ["0", "3", "99"] };
        assert.deepEqual(only(described(formatSdp({ streams: [stream] }, ORIGIN))), stream);
      }),
    );
  });
});
