import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { PosternError } from "../../../src/core/base/failure.ts";
import type { CallDescription, Direction, StreamDescription } from "../../../src/core/call/description.ts";
import { answeredDirection, reversed } from "../../../src/core/call/direction.ts";
import { agree, answerOffer, nextOffer, offeredStream, onHold, refused } from "../../../src/core/call/offer-answer.ts";
import { DIRECTIONS } from "../../../src/core/sdp/attributes.ts";
import { FAX, PHONE } from "../sdp/samples.ts";
import { codec, described, EVENTS, offerOf, only, own, PCMA, PCMU, voice } from "./descriptions.ts";

function answered(offer: CallDescription, direction: Direction = "sendrecv"): StreamDescription {
  return only(answerOffer(offer, [voice()], [own(5000, { direction })]));
}

function withDirection(direction: Direction): CallDescription {
  return offerOf(offeredStream(voice(), own(4000, { direction })));
}

suite("RFC 3264 §6: the answer", () => {
  test("RFC 3264 §6.1: shared codecs, in the offer's order and by its numbers, with our own parameters", () => {
    const events = { ...EVENTS, payloadType: 96, parameters: "0-11" };
    const offer = offerOf(
      offeredStream(voice({ codecs: [codec(97, "iLBC"), { ...PCMA, name: "pcma" }, events, PCMU] }), own()),
    );
    const stream = answered(offer);
    assert.deepEqual(stream.codecs, [{ ...PCMA, name: "pcma" }, { ...events, parameters: "0-16" }, PCMU]);
    assert.deepEqual(stream.formats, ["8", "96", "0"]);
    assert.equal(stream.media?.port, 5000);
  });

  test("events alone are no voice; nor are they with a codec of another clock", () => {
    const wide = codec(98, "L16", 16_000);
    assert.ok(answered(offerOf(offeredStream(voice({ codecs: [EVENTS] }), own()))).isRefused);
    const offer = offerOf(offeredStream(voice({ codecs: [wide, EVENTS] }), own()));
    const answer = only(answerOffer(offer, [voice({ codecs: [wide, EVENTS] })], [own()]));
    assert.deepEqual(answer.codecs, [wide]);
  });

  test("as many streams as were offered, each in its place: of another kind, profile or carrier it is refused", () => {
    const offer = { streams: [...described(PHONE).streams, ...described(FAX).streams] };
    const answer = answerOffer(offer, [voice()], [own(), own(), own(), own()]);
    assert.deepEqual(
      answer.streams.map(({ kind, isRefused }) => [kind, isRefused]),
      [
        ["audio", false],
        ["video", true],
        ["audio", true],
        ["image", true],
      ],
    );
    assert.deepEqual(answer.streams[1]?.formats, ["96"], "a refused stream keeps a format");
    assert.ok(only(answerOffer(offerOf(), [voice()], [undefined])).isRefused, "and whatever we do not want");
    assert.ok(answered(offerOf(refused(only(offerOf())))).isRefused, "what was offered with port 0 stays so");
  });

  test("RFC 3264 §6.1: directions", () => {
    const table: Record<Direction, readonly Direction[]> = {
      // wanted:   sendrecv    sendonly    recvonly    inactive
      sendrecv: ["sendrecv", "sendonly", "recvonly", "inactive"],
      sendonly: ["recvonly", "inactive", "recvonly", "inactive"],
      recvonly: ["sendonly", "sendonly", "inactive", "inactive"],
      inactive: ["inactive", "inactive", "inactive", "inactive"],
    };
    for (const offered of DIRECTIONS) {
      for (const [n, wanted] of DIRECTIONS.entries()) {
        assert.equal(answeredDirection(offered, wanted), table[offered][n], `${offered}, ${wanted}`);
        assert.equal(answered(withDirection(offered), wanted).direction, table[offered][n]);
      }
    }
    assert.deepEqual(DIRECTIONS.map(reversed), ["sendrecv", "recvonly", "sendonly", "inactive"]);
  });

  test("RFC 2543 §B.5: who is at 0.0.0.0 hears nothing", () => {
    assert.equal(answered(offerOf({ ...only(offerOf()), isUnplaced: true })).direction, "recvonly");
  });

  test("RFC 5761 §5.1.1: one port for RTP and RTCP is answered where it was offered", () => {
    for (const offers of [true, false]) {
      for (const can of [true, false]) {
        const offer = offerOf(offeredStream(voice({ canMultiplex: offers }), own()));
        const answer = only(answerOffer(offer, [voice({ canMultiplex: can })], [own()]));
        assert.equal(answer.isMultiplexed, offers && can);
      }
    }
  });

  test("an offer of nothing is our own mistake", () => {
    const isMistake = (error: unknown) => error instanceof PosternError && error.code === "nothing-to-offer";
    assert.throws(() => offeredStream(voice({ codecs: [] }), own()), isMistake);
    assert.throws(() => offeredStream(voice({ profiles: [] }), own()), isMistake);
  });
});

suite("RFC 3264 §8: the next offer", () => {
  const two = offerOf(only(offerOf()), { ...only(offerOf()), kind: "video" });

  test("streams keep their places; what ends stays, refused; what is added comes last", () => {
    const ended = nextOffer(two, ["end"]);
    assert.deepEqual(
      ended.streams.map(({ kind, isRefused }) => [kind, isRefused]),
      [
        ["audio", true],
        ["video", false],
      ],
    );
    const fax = { ...only(offerOf()), kind: "image" };
    assert.deepEqual(
      nextOffer(two, [], [fax]).streams.map(({ kind }) => kind),
      ["audio", "video", "image"],
    );
    // RFC 3264 §8.1: a new stream may take the place of one that has ended.
    assert.deepEqual(
      nextOffer(ended, [], [fax]).streams.map(({ kind, isRefused }) => [kind, isRefused]),
      [
        ["image", false],
        ["video", false],
      ],
    );
    assert.deepEqual(nextOffer(two, [undefined, fax]).streams[1]?.kind, "image");
  });

  test("RFC 3264 §8.4: hold, and resume", () => {
    const table: Record<Direction, Direction> = {
      sendrecv: "sendonly",
      sendonly: "sendonly",
      recvonly: "inactive",
      inactive: "inactive",
    };
    for (const direction of DIRECTIONS) {
      assert.equal(only(onHold(withDirection(direction))).direction, table[direction]);
    }
    const hold = onHold(offerOf());
    assert.equal(answered(hold).direction, "recvonly");
    assert.equal(answered(nextOffer(hold, [only(offerOf())])).direction, "sendrecv");
    assert.ok(only(onHold(offerOf(refused(only(offerOf()))))).isRefused);
  });
});

suite("what offer and answer come to", () => {
  test("each sends by the other's numbers, what both have", () => {
    const offer = offerOf(offeredStream(voice({ codecs: [PCMU, { ...EVENTS, payloadType: 96 }] }), own()));
    const answer = offerOf({ ...answered(offer), codecs: [PCMU, EVENTS, codec(9, "G722")] });
    const agreed = agree(offer, answer);
    assert.ok(typeof agreed !== "string");
    const numbers = agreed.map(({ fromOfferer, fromAnswerer }) =>
      [fromOfferer, fromAnswerer].map((codecs) => codecs.map(({ payloadType }) => payloadType)),
    );
    assert.deepEqual(numbers, [
      [
        [0, 101],
        [0, 96],
      ],
    ]);
  });

  test("RFC 5761 §5.1.1: one port for RTP and RTCP is agreed where both say so", () => {
    const [plain, shared] = [offerOf(), offerOf(offeredStream(voice({ canMultiplex: true }), own()))];
    for (const [offer, answer, is] of [
      [shared, shared, true],
      [shared, plain, false],
      [plain, shared, false],
    ] as const) {
      const agreed = agree(offer, answer);
      assert.ok(typeof agreed !== "string" && agreed[0]?.isMultiplexed === is);
    }
  });

  test("directions as the offerer sees them; nothing flows where nobody sends", () => {
    for (const offered of DIRECTIONS) {
      for (const wanted of DIRECTIONS) {
        const offer = withDirection(offered);
        const agreed = agree(offer, offerOf(answered(offer, wanted)));
        assert.ok(typeof agreed !== "string");
        const [stream] = agreed;
        assert.equal(stream?.direction, reversed(answeredDirection(offered, wanted)));
        assert.equal(stream?.fromOfferer.length === 0, !stream?.direction.startsWith("send"));
      }
    }
  });

  test("a refused stream is nothing; an answer to another offer is none", () => {
    const offer = offerOf();
    const agreed = agree(offer, offerOf(refused(only(offer))));
    assert.ok(typeof agreed !== "string" && agreed[0]?.isRefused === true && agreed[0].direction === "inactive");
    assert.equal(agree(offer, { streams: [] }), "stream-count");
    assert.equal(agree(offer, offerOf({ ...only(offer), kind: "video" })), "kind");
    assert.equal(agree(offer, offerOf({ ...only(offer), carrier: "udptl" })), "carrier");
    const held = agree(offer, offerOf({ ...answered(offer), isUnplaced: true }));
    assert.ok(typeof held !== "string" && held[0]?.direction === "recvonly");
  });
});
