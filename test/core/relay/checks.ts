/** Connectivity checks as phones send them, and descriptions with ICE. */
import { parseIp } from "../../../src/core/base/address.ts";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import { Attribute, MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { StunView } from "../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import { testCrypto } from "../../support/crypto.ts";

export interface Credentials {
  readonly ufrag: string;
  readonly password: string;
}

export const ALICE: Credentials = { ufrag: "alicefrag", password: "the-password-of-alice-00" };
export const BOB: Credentials = { ufrag: "bobsfrag", password: "the-password-of-bob-0000" };

export function iceLines({ ufrag, password }: Credentials, ...candidates: readonly string[]): string[] {
  return [`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${password}`, ...candidates.map((line) => `a=candidate:${line}`)];
}

export interface CheckFields {
  readonly nominates?: boolean;
  readonly priority?: number;
  readonly isControlled?: boolean;
  /** What it is sealed with, in the place of the receiver's password. */
  readonly password?: string;
  readonly unknown?: number;
}

let last = 0;

/** A request from one to another. */
export function check(from: Credentials, to: Credentials, fields: CheckFields = {}): Uint8Array {
  const { nominates = false, priority = 100, isControlled = false, password = to.password, unknown } = fields;
  const id = new Uint8Array(12);
  id[11] = ++last & 0xff;
  const writer = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(id));
  writer.text(Attribute.Username, `${to.ufrag}:${from.ufrag}`).u32(Attribute.Priority, priority);
  writer.bytes(isControlled ? Attribute.IceControlled : Attribute.IceControlling, new Uint8Array(8));
  if (nominates) writer.bytes(Attribute.UseCandidate, new Uint8Array(0));
  if (unknown !== undefined) writer.bytes(unknown, new Uint8Array(4));
  return writer
    .integritySha1(testCrypto, testCrypto.importKey(encodeUtf8(password)))
    .fingerprint()
    .finish();
}

/** The answer to a check, sealed with the answerer's own password. */
export function response(request: Uint8Array, { password }: Pick<Credentials, "password">): Uint8Array {
  const writer = new StunWriter().begin(Method.Binding, MessageClass.Success, request.subarray(4, 20));
  writer.xorAddress(Attribute.XorMappedAddress, parseIp("192.0.2.1", 1) as NonNullable<ReturnType<typeof parseIp>>);
  return writer
    .integritySha1(testCrypto, testCrypto.importKey(encodeUtf8(password)))
    .fingerprint()
    .finish();
}

export function indication(): Uint8Array {
  return new StunWriter()
    .begin(Method.Binding, MessageClass.Indication, messageId(new Uint8Array(12)))
    .fingerprint()
    .finish();
}

export function decoded(data: Uint8Array): StunView {
  const view = new StunView();
  const failure = view.decode(data);
  if (failure !== undefined) throw new Error(failure);
  return view;
}
