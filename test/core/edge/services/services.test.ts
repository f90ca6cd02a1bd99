import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import type { EdgeOutput } from "../../../../src/core/edge/outputs.ts";
import type { ServiceMedia } from "../../../../src/core/edge/services/tone-stream.ts";
import { payloadTypeOf, sequenceOf, ssrcOf, timestampOf } from "../../../../src/core/rtp/header.ts";
import { parseSdp, type SdpDocument } from "../../../../src/core/sdp/document.ts";
import type { SipResponse } from "../../../../src/core/sip/message/message.ts";
import { SeededRandom } from "../../../support/crypto.ts";
import { voiceSdp } from "../../relay/world.ts";
import { rtp } from "../../rtp/packets.ts";
import { at, mediaOf, Phone, type PhoneOptions, sdpOf, World } from "../world.ts";
import { AgentPhone } from "./agent-phone.ts";

function phone(world: World, options: Partial<PhoneOptions> = {}): Phone {
  const alice = new Phone(world, "alice", { outside: "198.51.100.7", ...options });
  assert.equal(alice.register().status, 200);
  return alice;
}

function agent(world: World): AgentPhone {
  const alice = new AgentPhone(world, "alice", { outside: "198.51.100.7" });
  alice.registrar.start(world.now);
  alice.settle();
  assert.deepEqual(alice.words(), ["registered"]);
  return alice;
}

function call(alice: Phone, service: string, body?: string): SipResponse {
  const answer = alice.ask(alice.invitation(service, undefined, body));
  assert.equal(answer.status, 200, `${answer.status} ${answer.reason}`);
  alice.send(alice.within(answer, "ACK"));
  return answer;
}

function answerTold(alice: AgentPhone): SdpDocument {
  const agreed = alice.told.findLast((one) => one.kind === "agreed");
  assert.ok(agreed?.kind === "agreed");
  return parsed(agreed.answer);
}

function parsed(text: string): SdpDocument {
  const document = parseSdp(text);
  assert.ok(typeof document === "object", text);
  return document;
}

function isMedia(output: EdgeOutput): output is ServiceMedia {
  return output.kind === "media";
}

/** What was played since the last time, with what of it is used again copied. */
function played(world: World, ms: number): { readonly at: number; readonly to: string; readonly data: Uint8Array }[] {
  const packets: { at: number; to: string; data: Uint8Array }[] = [];
  const from = world.now;
  for (let passed = 0; passed < ms; passed++) {
    world.pass(1);
    for (const output of world.stored.splice(0).filter(isMedia)) {
      const data = output.data.slice(0, output.length);
      packets.push({ at: world.now - from, to: formatAddress(output.route.remote), data });
    }
  }
  return packets;
}

const VOICE = at("198.51.100.7", 17_000);

suite("echo", () => {
  for (const transport of ["udp", "tcp", "tls"] as const) {
    test(`answers over ${transport}, sends back what it hears to where that came from, and ends with BYE`, () => {
      const world = new World();
      const alice = phone(world, { transport });
      const answer = call(alice, "echo");
      const heard = alice.speak(sdpOf(answer));
      assert.equal(heard && formatAddress(heard.remote), "198.51.100.7:17000");
      assert.equal(heard?.from, mediaOf(sdpOf(answer)).port);
      assert.deepEqual(world.told("call"), ["started", "answered"]);
      assert.equal(world.edge.calls()[0]?.state, "acknowledged");
      alice.send(alice.within(answer, "BYE"));
      assert.equal(alice.response.status, 200, "who is within the call, and where it was, needs no password");
      assert.deepEqual(world.told("call"), ["started", "answered", "ended"]);
      assert.deepEqual([world.ports.size, world.edge.calls().length], [0, 0]);
    });
  }

  test("RFC 3550 §8.2: comes back with another source number, and all else as it was; RTCP does not come back", () => {
    const world = new World();
    const alice = phone(world);
    const answer = sdpOf(call(alice, "echo"));
    alice.speak(answer);
    const packet = rtp({ ssrc: VOICE.w3, sequence: 200, timestamp: 4 });
    const before = packet.slice();
    assert.ok(world.packet(VOICE, mediaOf(answer), packet));
    assert.notEqual(ssrcOf(packet), ssrcOf(before));
    assert.deepEqual(packet.subarray(0, 8), before.subarray(0, 8));
    assert.deepEqual(packet.subarray(12), before.subarray(12));
    const control = { ...mediaOf(answer), port: mediaOf(answer).port + 1 };
    const report = Uint8Array.of(0x80, 201, 0, 1, ...before.subarray(8, 12));
    assert.equal(world.packet(at("198.51.100.7", 17_001), control, report), undefined);
  });

  test("RFC 5761 §5.1.1: shares a port with RTCP where that is offered, and sends none of it back", () => {
    const world = new World();
    const alice = phone(world);
    const answer = sdpOf(call(alice, "echo", alice.sdp(["a=rtcp-mux"])));
    assert.match(answer.format(), /a=rtcp-mux/);
    assert.equal(world.ports.size, 1);
    alice.speak(answer);
    const report = Uint8Array.of(0x80, 201, 0, 1, 0, 0, 0, 1);
    assert.equal(world.packet(VOICE, mediaOf(answer), report), undefined);
    assert.ok(alice.speak(answer));
  });

  test("hears nobody but its caller", () => {
    const world = new World();
    const alice = phone(world);
    const answer = sdpOf(call(alice, "echo"));
    assert.equal(alice.speak(answer, at("203.0.113.66", 17_000)), undefined);
    assert.ok(alice.speak(answer));
    assert.equal(alice.speak(answer, at("203.0.113.66", 17_000)), undefined);
  });

  test("RFC 3264 §6: takes every codec and stream that it could send back, and refuses the others", () => {
    const world = new World();
    const alice = phone(world);
    const offer = [
      "v=0",
      "o=- 1 1 IN IP4 10.0.0.2",
      "s=-",
      "c=IN IP4 10.0.0.2",
      "t=0 0",
      "m=audio 7000 RTP/AVP 111 9 101",
      "a=rtpmap:111 opus/48000/2",
      "a=rtpmap:101 telephone-event/8000",
      "m=video 7002 RTP/AVP 99",
      "a=rtpmap:99 H264/90000",
      "m=audio 7004 RTP/SAVP 0",
      "m=image 7006 udptl t38",
      "",
    ].join("\r\n");
    const text = sdpOf(call(alice, "echo", offer)).format();
    assert.match(text, /m=audio 2\d{4} RTP\/AVP 111 9 101\r\n/);
    assert.match(text, /m=video 2\d{4} RTP\/AVP 99/);
    assert.match(text, /m=audio 0 RTP\/SAVP/);
    assert.match(text, /m=image 0 udptl/);
  });

  test("RFC 3261 §13.2.1: offers by itself where the caller does not", () => {
    const world = new World();
    const alice = agent(world);
    alice.ua.call(
      { local: alice.local, hop: alice.flow, uri: "sip:echo@example.org", description: undefined },
      world.now,
    );
    alice.settle();
    const offered = alice.told.find((one) => one.kind === "offered");
    assert.ok(offered?.kind === "offered" && offered.offer !== undefined);
    assert.match(offered.offer, /m=audio 2\d{4} RTP\/AVP 96 9 0 8 101\r\n/);
    alice.ua.answer(offered.call, alice.sdp(), world.now);
    alice.settle();
    assert.ok(alice.speak(parsed(offered.offer)));
    assert.deepEqual(alice.words(), ["progress", "answered", "offered"].slice(1));
  });

  test("RFC 3264 §8.4: hears a caller who holds, and sends nothing until he resumes", () => {
    const world = new World();
    const alice = agent(world);
    const made = alice.call("echo");
    const answer = answerTold(alice);
    assert.ok(alice.speak(answer));
    const change = (direction: string): string => {
      assert.ok(alice.ua.offer(made, "INVITE", alice.sdp([`a=${direction}`]), world.now));
      alice.settle();
      return answerTold(alice).format();
    };
    const held = change("sendonly");
    assert.match(held, /a=recvonly/);
    assert.deepEqual(mediaOf(parsed(held)), mediaOf(answer), "the same port");
    assert.match(held, /o=- \d+ 2 /);
    assert.equal(alice.speak(answer), undefined);
    world.pass(50_000);
    alice.speak(answer);
    alice.pass(50_000);
    assert.equal(world.edge.calls().length, 1, "what is heard counts as media");
    assert.match(change("sendrecv"), /o=- \d+ 3 .*a=sendrecv/s);
    assert.ok(alice.speak(answer));
  });
});

suite("what a user may send in bad faith", () => {
  test("an offer that is short, and whose answer would be longer than any may be, is refused", () => {
    const world = new World();
    const alice = phone(world);
    const body = alice.sdp().replace(/RTP\/AVP .*\r/, `RTP/AVP${" 0".repeat(10_000)}\r`);
    assert.equal(alice.ask(alice.invitation("echo", undefined, body)).status, 488);
    assert.deepEqual([world.ports.size, world.edge.calls().length], [0, 0]);
  });

  test("requests within a call, broken in any way: nothing throws, and nothing is left", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new SeededRandom(seed);
      const world = new World();
      const alice = phone(world);
      const answer = call(alice, seed % 2 === 0 ? "echo" : "milliwatt");
      for (let round = 0; round < 50; round++) {
        const method = random.pick(["INVITE", "UPDATE", "ACK", "OPTIONS", "CANCEL"]);
        const body = random.oneIn(3) ? "" : alice.sdp(["a=rtcp-mux", "a=sendonly"]);
        let text = alice.within(answer, method, { body }).format();
        for (let change = random.below(4); change > 0; change--) {
          const [at, length] = [random.below(text.length), random.below(12)];
          const other = random.pick([
            "",
            "\r\n",
            "0",
            ";",
            "<",
            ":",
            "sip:",
            "a=",
            "m=audio 0 ",
            text.slice(at, at + 40),
          ]);
          text = text.slice(0, at) + other + text.slice(at + length);
        }
        const length = text.length - text.indexOf("\r\n\r\n") - 4;
        world.deliver(text.replace(/Content-Length: \d+/, `Content-Length: ${Math.max(0, length)}`), alice.flow);
        world.pass(random.below(2_000));
      }
      world.pass(800_000);
      assert.deepEqual([world.ports.size, world.edge.calls().length], [0, 0], `seed ${seed}`);
    }
  });
});

suite("milliwatt", () => {
  for (const [codec, type] of [
    ["PCMU", 0],
    ["PCMA", 8],
  ] as const) {
    test(`plays its tone in ${codec}, a packet every 20 ms`, () => {
      const world = new World();
      const alice = phone(world);
      const body = voiceSdp("10.0.0.2:7000").replace(/RTP\/AVP .*\r/, `RTP/AVP ${type}\r`);
      const answer = sdpOf(call(alice, "milliwatt", body));
      assert.match(answer.format(), new RegExp(`RTP/AVP ${type}\r\n`));
      assert.deepEqual(played(world, 100), [], "nobody knows yet where");
      for (let sequence = 1; sequence <= 3; sequence++) {
        const voice = rtp({ payloadType: type, ssrc: VOICE.w3, sequence });
        assert.equal(world.packet(VOICE, mediaOf(answer), voice), undefined, "what it hears does not come back");
      }
      const packets = played(world, 1000);
      assert.equal(packets.length, 50);
      assert.ok(packets.every(({ to }) => to === "198.51.100.7:17000"));
      for (const [i, { at: time, data }] of packets.entries()) {
        const [first, before] = [packets[0], packets[i - 1]] as const;
        assert.deepEqual([data.length, payloadTypeOf(data), ssrcOf(data)], [172, type, ssrcOf(first?.data ?? data)]);
        if (before === undefined) continue;
        assert.equal(time - before.at, 20);
        assert.equal((sequenceOf(data) - sequenceOf(before.data)) & 0xffff, 1);
        assert.equal((timestampOf(data) - timestampOf(before.data)) >>> 0, 160);
      }
    });
  }

  test("RFC 3264 §8.4: plays nothing to who holds", () => {
    const world = new World();
    const alice = agent(world);
    const made = alice.call("milliwatt");
    alice.speak(answerTold(alice));
    assert.equal(played(world, 200).length, 10);
    const numbers = (direction: string): number => {
      assert.ok(alice.ua.offer(made, "UPDATE", alice.sdp([`a=${direction}`]), world.now));
      alice.settle();
      return played(world, 200).length;
    };
    assert.deepEqual([numbers("inactive"), numbers("sendonly"), numbers("sendrecv")], [0, 0, 10]);
    const [before] = played(world, 20);
    assert.equal(numbers("sendrecv"), 10);
    const [after] = played(world, 20);
    assert.ok(before !== undefined && after !== undefined);
    assert.equal(ssrcOf(after.data), ssrcOf(before.data), "what goes on as it was keeps its numbers");
    assert.equal((sequenceOf(after.data) - sequenceOf(before.data)) & 0xffff, 11);
    alice.ua.hangUp(made, world.now);
    alice.settle();
    assert.equal(played(world, 200).length, 0);
  });

  test("RFC 3261 §13.2.1: plays to who does not offer, once he has answered", () => {
    const world = new World();
    const alice = agent(world);
    const made = alice.ua.call(
      { local: alice.local, hop: alice.flow, uri: "sip:milliwatt@example.org", description: undefined },
      world.now,
    );
    alice.settle();
    assert.equal(played(world, 100).length, 0);
    const offered = alice.told.find((one) => one.kind === "offered");
    assert.ok(offered?.kind === "offered" && offered.offer !== undefined);
    alice.ua.answer(made, voiceSdp("198.51.100.7:17000"), world.now);
    alice.settle();
    assert.ok(played(world, 100).length > 0);
  });

  test("hears its caller: the call goes on as long as he speaks, and plays one tone", () => {
    const world = new World();
    const alice = phone(world);
    const second = alice.sdp().slice(alice.sdp().indexOf("m=audio"));
    const answer = sdpOf(call(alice, "milliwatt", `${alice.sdp()}${second.replace("7000", "7010")}`));
    assert.match(answer.format(), /m=audio 2\d{4} .*m=audio 0 /s);
    for (let i = 0; i < 6; i++) {
      alice.speak(answer);
      world.pass(30_000);
    }
    assert.equal(world.edge.calls().length, 1);
  });

  test("refuses with 488 what is no G.711", () => {
    const world = new World();
    const alice = phone(world);
    const body = voiceSdp("10.0.0.2:7000").replace(/RTP\/AVP .*\r/, "RTP/AVP 9\r");
    assert.equal(alice.ask(alice.invitation("milliwatt", undefined, body)).status, 488);
    assert.deepEqual([world.ports.size, world.edge.calls().length], [0, 0]);
  });
});

suite("calls to services", () => {
  test("last ten minutes at most", () => {
    const world = new World();
    const alice = agent(world);
    alice.call("echo");
    const answer = answerTold(alice);
    alice.words();
    for (let minute = 0; minute < 9; minute++) {
      alice.speak(answer);
      alice.pass(50_000);
    }
    assert.equal(world.edge.calls().length, 1);
    for (let minute = 0; minute < 3; minute++) {
      alice.speak(answer);
      alice.pass(50_000);
    }
    assert.deepEqual(alice.words().slice(0, 1), ["ended hung-up"]);
    const ended = world.events.findLast((event) => event.type === "call");
    assert.equal(ended?.type === "call" && ended.call.end, "longest duration");
  });

  test("end when no media comes", () => {
    const world = new World();
    const alice = agent(world);
    alice.call("echo");
    alice.words();
    alice.pass(130_000);
    assert.deepEqual(alice.words(), ["ended hung-up"]);
    assert.deepEqual(world.told("trouble"), ["no-media"]);
    assert.equal(world.ports.size, 0);
  });

  test("RFC 3261 §13.3.1.4: end with BYE where the caller never acknowledges", () => {
    const world = new World();
    const alice = phone(world);
    alice.ask(alice.invitation("echo"));
    const answers = alice.responses.filter(({ status }) => status === 200).length;
    world.pass(33_000);
    assert.ok(alice.responses.filter(({ status }) => status === 200).length > answers + 5, "repeated");
    assert.equal(alice.request("BYE").callId, alice.lastInvite().callId);
    assert.deepEqual([world.ports.size, world.edge.calls().length], [0, 0]);
    assert.deepEqual(world.told("trouble"), ["never-acknowledged"]);
  });

  test("four at once of a user", () => {
    const world = new World();
    const alice = agent(world);
    const calls = Array.from({ length: 5 }, () => alice.call("echo"));
    assert.deepEqual(
      alice.words().filter((word) => word.startsWith("ended")),
      ["ended refused 486"],
    );
    alice.ua.hangUp(calls[0] as (typeof calls)[0], world.now);
    alice.settle();
    alice.call("echo");
    assert.equal(world.edge.calls().length, 4);
  });

  test("are for own users alone", () => {
    const world = new World();
    const mallory = new AgentPhone(world, "mallory", { outside: "203.0.113.66" });
    mallory.call("echo");
    assert.deepEqual(mallory.words(), ["ended refused 407"]);
    const guess = new AgentPhone(world, "alice", { outside: "203.0.113.67", password: "guess" });
    guess.call("milliwatt");
    assert.deepEqual(guess.words(), ["ended refused 407"]);
    assert.deepEqual([world.ports.size, world.edge.calls().length], [0, 0]);
  });

  test("a request within one from elsewhere needs the password of the caller", () => {
    const world = new World();
    const alice = phone(world);
    const answer = call(alice, "echo");
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    bob.register();
    const bye = alice.within(answer, "BYE");
    bob.send(bye);
    assert.equal(bob.response.status, 407);
    assert.equal(world.edge.calls().length, 1);
    const known = alice.within(answer, "BYE");
    known.headers.set("From", (known.header("from") ?? "").replace("sip:alice", "sip:bob"));
    assert.equal(bob.ask(known).status, 481, "nobody else, whatever he knows");
    assert.equal(world.edge.calls().length, 1);
    alice.move("198.51.100.8", 41_000);
    assert.equal(alice.ask(alice.within(answer, "BYE")).status, 200);
    assert.equal(world.edge.calls().length, 0);
  });

  test("a user who bears a service's name goes before it", () => {
    const world = new World();
    const alice = phone(world);
    const echo = new Phone(world, "echo", { outside: "192.0.2.9", inside: "192.168.1.5" });
    assert.equal(echo.register().status, 200);
    alice.ask(alice.invitation("echo"));
    assert.equal(echo.request("INVITE").uriText, echo.contact);
  });

  test("RFC 3261 §9.2: a CANCEL that comes too late is answered, and changes nothing", () => {
    const world = new World();
    const alice = phone(world);
    const answer = call(alice, "echo");
    const cancel = alice.lastInvite().copy();
    cancel.headers.set("CSeq", `${cancel.cseq.number} CANCEL`);
    cancel.setBody("");
    world.deliver(cancel.format().replace(/^INVITE/, "CANCEL"), alice.flow);
    assert.equal(alice.response.status, 200);
    assert.equal(alice.response.cseq.method, "CANCEL");
    assert.ok(alice.speak(sdpOf(answer)));
  });
});
