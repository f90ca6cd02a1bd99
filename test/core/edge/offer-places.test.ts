/**
 * RFC 6337 §2: every place where an offer or its answer may stand. Each time the two say new ports, and a packet from each
 * must come to where the other has said last that it wants it, once that is agreed and not before.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, formatAddress } from "../../../src/core/base/address.ts";
import type { SdpDocument } from "../../../src/core/sdp/document.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipMessage, SipRequest, SipResponse } from "../../../src/core/sip/message/message.ts";
import { voiceSdp } from "../relay/world.ts";
import { rtp } from "../rtp/packets.ts";
import { at, mediaOf, Phone, sdpOf, World } from "./world.ts";

/** A phone that says its public address in its descriptions, so that media goes where it says at once. */
class Side {
  readonly phone: Phone;
  readonly ip: string;
  /** Said last, and what counts. */
  said = 17_000;
  agreed = 0;
  /** What the other has said, as it came. */
  told: SdpDocument | undefined;
  #sequence = 0;

  constructor(world: World, user: string, ip: string) {
    this.phone = new Phone(world, user, { outside: ip });
    this.ip = ip;
    assert.equal(this.phone.register().status, 200);
  }

  /** A new description, in another place than the one before. */
  says(): string {
    this.said += 10;
    return voiceSdp(`${this.ip}:${this.said}`);
  }

  get place(): Address {
    return at(this.ip, this.agreed);
  }

  /** Whom a packet of its reaches. */
  reached(): string {
    assert.ok(this.told);
    const packet = rtp({ ssrc: this.place.w3, sequence: ++this.#sequence });
    const got = this.phone.world.packet(this.place, mediaOf(this.told), packet);
    return got === undefined ? "nobody" : formatAddress(got.remote);
  }
}

class Talk {
  readonly world: World = new World();
  readonly caller: Side = new Side(this.world, "alice", "198.51.100.7");
  readonly callee: Side = new Side(this.world, "bob", "192.0.2.9");
  /** The dialog, as each of them knows it. */
  #answer: SipResponse | undefined;
  #invite: SipRequest | undefined;

  /** Offers and answers of a whole INVITE, `from` one of them. */
  run(from: Side, steps: readonly string[]): void {
    const to = from === this.caller ? this.callee : this.caller;
    for (const step of steps) this.#step(step, from, to);
  }

  #step(step: string, from: Side, to: Side): void {
    const [what = "", body = ""] = step.split(" + ");
    const isBack = what.startsWith("back ");
    const [name = "", status] = what.replace("back ", "").split(" ");
    const [sender, receiver] = isBack ? [to, from] : [from, to];
    const isResponse = status !== undefined || /^\d/.test(name);
    const [by, other] = isResponse ? [receiver, sender] : [sender, receiver];
    const text = body === "" ? "" : by.says();
    const before = other.phone.requests.length + other.phone.responses.length;
    if (/^\d/.test(name)) by.phone.answer(Number(name), { body: text, tag: tagOf(by) });
    else if (status !== undefined) reply(by, name, Number(status), text);
    else this.#request(by, name, text);
    assert.ok(other.phone.requests.length + other.phone.responses.length > before, step);
    this.#answer ??= this.caller.phone.responses.findLast(({ cseq, status }) => {
      return cseq.method === "INVITE" && status >= 180 && status < 300;
    });
    this.#invite ??= this.callee.phone.requests.find(({ method }) => method === "INVITE");
    if (text !== "") other.told = sdpOf(last(other.phone, isResponse));
    if (body === "answer") for (const side of [from, to]) side.agreed = side.said;
    this.check(step);
  }

  #request({ phone }: Side, method: string, body: string): void {
    const isCaller = phone === this.caller.phone;
    if (method === "INVITE" && this.#answer === undefined) {
      phone.ask(phone.invitation("bob", "places", body));
      return;
    }
    const dialog = isCaller ? this.#answer : this.#invite;
    assert.ok(dialog);
    const request = phone.within(dialog, method, { body });
    if (method === "ACK") request.headers.set("CSeq", `${phone.lastInvite().cseq.number} ACK`);
    phone.send(request);
  }

  /** What was agreed last is what is, whatever has been offered since. */
  check(step: string): void {
    const { caller, callee } = this;
    if (caller.agreed === 0) return;
    assert.equal(callee.reached(), formatAddress(caller.place), `${step}: to the caller`);
    assert.equal(caller.reached(), formatAddress(callee.place), `${step}: to the callee`);
  }
}

function tagOf({ phone }: Side): string {
  return phone.user === "alice" ? "from-alice" : `to-bob-${phone.inside}`;
}

function reply({ phone }: Side, method: string, status: number, body: string): void {
  const response = createResponse(phone.request(method), status);
  if (body !== "") response.setBody(body, "application/sdp");
  phone.send(response);
}

function last(phone: Phone, isResponse: boolean): SipMessage {
  return (isResponse ? phone.responses : phone.requests).at(-1) ?? assert.fail();
}

/** By `from`, or by who is called where it says `back`; a status alone is the INVITE's. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  "INVITE and 200": ["INVITE + offer", "200 + answer", "ACK"],
  "200 and ACK": ["INVITE", "200 + offer", "ACK + answer"],
  "INVITE and a 183 that is no promise, and the 200": ["INVITE + offer", "183 + answer", "200 + answer", "ACK"],
  "INVITE and 183": ["INVITE + offer", "183 + answer", "PRACK", "PRACK 200", "200", "ACK"],
  "183 and PRACK": ["INVITE", "183 + offer", "PRACK + answer", "PRACK 200", "200", "ACK"],
  "PRACK and its 200, after INVITE and 183": [
    ...["INVITE + offer", "183 + answer", "PRACK + offer", "PRACK 200 + answer", "200", "ACK"],
  ],
  "PRACK and its 200, after 183 and PRACK": [
    ...["INVITE", "183 + offer", "PRACK + answer", "PRACK 200"],
    ...["183", "PRACK + offer", "PRACK 200 + answer", "200", "ACK"],
  ],
  "UPDATE and its 200, before the answer": [
    ...["INVITE + offer", "183 + answer", "PRACK", "PRACK 200"],
    ...["UPDATE + offer", "UPDATE 200 + answer", "back UPDATE + offer", "back UPDATE 200 + answer", "200", "ACK"],
  ],
  "UPDATE and its 200, where the offer came late": [
    ...["INVITE", "183 + offer", "PRACK + answer", "PRACK 200"],
    ...["UPDATE + offer", "UPDATE 200 + answer", "back UPDATE + offer", "back UPDATE 200 + answer", "200", "ACK"],
  ],
  "UPDATE and its 200, within the call": [
    ...["INVITE + offer", "200 + answer", "ACK"],
    ...["UPDATE + offer", "UPDATE 200 + answer", "back UPDATE + offer", "back UPDATE 200 + answer"],
  ],
};

suite("RFC 6337 §2: offer and answer in", () => {
  for (const [name, steps] of Object.entries(PLACES)) {
    test(name, () => {
      const talk = new Talk();
      talk.run(talk.caller, steps);
    });

    test(`${name}, within a call, from either side`, () => {
      const talk = new Talk();
      talk.run(talk.caller, PLACES["INVITE and 200"] ?? []);
      talk.run(talk.caller, steps);
      talk.run(talk.callee, steps);
      talk.run(talk.caller, PLACES["PRACK and its 200, after INVITE and 183"] ?? []);
    });
  }
});

test("RFC 3311 §5.2: an UPDATE that is refused while the INVITE's offer waits leaves that to be answered", () => {
  const talk = new Talk();
  talk.run(talk.caller, ["INVITE + offer", "180"]);
  const offered = talk.caller.said;
  talk.run(talk.caller, ["UPDATE + offer", "UPDATE 491"]);
  talk.caller.said = offered;
  talk.run(talk.caller, ["200 + answer", "ACK"]);
});

test("RFC 3262 §3: an offer that comes again when it has been answered is no other", () => {
  const talk = new Talk();
  talk.run(talk.caller, ["INVITE", "183 + offer", "PRACK + answer", "PRACK 200"]);
  const offered = talk.callee.said;
  talk.run(talk.caller, ["183 + offer"]);
  talk.callee.said = offered;
  talk.run(talk.caller, ["PRACK + offer", "PRACK 200 + answer", "200", "ACK"]);
});
