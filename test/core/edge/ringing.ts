/** Alice calls bob, whose three phones ring. */
import assert from "node:assert/strict";
import { SipRequest, type SipResponse } from "../../../src/core/sip/message/message.ts";
import { voiceSdp } from "../relay/world.ts";
import { Phone, World } from "./world.ts";

export interface Ringing {
  readonly world: World;
  readonly alice: Phone;
  readonly phones: readonly [Phone, Phone, Phone];
}

/** `body`: of the INVITE; "" for a call whose offer comes later. */
export function ring(body?: string): Ringing {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bobs = [9, 77, 78].map((n) => new Phone(world, "bob", { outside: `192.0.2.${n}`, inside: `192.168.${n}.5` }));
  const phones = bobs as unknown as Ringing["phones"];
  for (const phone of [alice, ...phones]) assert.equal(phone.register().status, 200);
  alice.ask(alice.invitation("bob", "forked", body ?? codecs(alice, "0 8 101")));
  return { world, alice, phones };
}

export function codecs({ inside }: Phone, formats: string, port = 7000): string {
  return voiceSdp(`${inside}:${port}`, [], formats);
}

/** Sound before the answer, each phone in a codec of its own; the 183 as the caller gets it. */
export function early({ alice, phones }: Ringing, index: 0 | 1): SipResponse {
  const phone = phones[index];
  phone.answer(183, { body: codecs(phone, index === 0 ? "0 101" : "8 101") });
  return alice.response;
}

export function cancelOf(invite: SipRequest): SipRequest {
  const cancel = invite.copy();
  cancel.headers.set("CSeq", `${invite.cseq.number} CANCEL`);
  cancel.headers.remove("Proxy-Authorization");
  cancel.setBody("");
  return new SipRequest("CANCEL", cancel.uriText, cancel.headers, "");
}
