/**
 * Tokens in our Record-Route: between whom a dialog runs, by which two flows, and who began it. They come back in the Route
 * of every later request, which proves that its sender belongs to the dialog, and tells the way to a phone behind a NAT
 * whatever its Contact says. They need no memory, and so outlive a restart; a flow may not, and then the names tell whose
 * registration says where the phone is now.
 */
import type { Address } from "../../base/address.ts";
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { concatBytes, equalConstantTime, readI32, readU16, readU32, writeU16, writeU32 } from "../../base/bytes.ts";
import type { Crypto, HmacKey } from "../../base/ports.ts";
import { binaryBytes } from "../digest/algorithm.ts";
import type { SipFlow, SipTransport } from "../flow.ts";

const TRANSPORTS: readonly SipTransport[] = ["udp", "tcp", "tls"];
const TAG_LENGTH = 12;
const VERSION = 2;
const TRUNK = 0x80;
/** Longer ones are left out. */
const LONGEST_NAME = 0x7f;

/** One end of a dialog, when that began. */
export interface DialogParty {
  readonly flow: SipFlow;
  /** A user's, or a trunk's, as a binary string; "" where it is too long. */
  readonly name: string;
  readonly isTrunk: boolean;
  /** Tells one phone of the user from the others, 32 bits; 0 where it was not registered, and for a trunk. */
  readonly phone: number;
}

/** The two ends of a dialog as a proxy sees them. */
export interface DialogParties {
  readonly caller: DialogParty;
  readonly callee: DialogParty;
}

/** Whose request it is: From of a request within a dialog is either end's. */
export type DialogEnd = "caller" | "callee";

export interface OpenedToken extends DialogParties {
  readonly from: DialogEnd;
}

export class FlowTokens {
  readonly #crypto: Crypto;
  readonly #keys: readonly HmacKey[];

  /** `keys`: the first signs, all verify. */
  constructor(crypto: Crypto, keys: readonly Uint8Array[]) {
    this.#crypto = crypto;
    this.#keys = keys.map((key) => crypto.importKey(key));
  }

  /** Characters that may stand in a URI's user without escapes. */
  seal({ caller, callee }: DialogParties, callId: string, callerTag: string): string {
    const body = concatBytes(Uint8Array.of(VERSION), encodeParty(caller), encodeParty(callee), this.#hash(callerTag));
    const tag = this.#tag(this.#keys[0] as HmacKey, body, callId);
    return encodeBase64(concatBytes(body, tag), "").replaceAll("+", "-").replaceAll("/", "_");
  }

  /** Undefined for what was not sealed here, or for another dialog. The tags are those of the request that brings it. */
  open(token: string, callId: string, fromTag: string, toTag: string): OpenedToken | undefined {
    const bytes = decodeBase64(token.replaceAll("-", "+").replaceAll("_", "/"));
    if (bytes === undefined || bytes[0] !== VERSION || bytes.length < 1 + TAG_LENGTH) return undefined;
    const body = bytes.subarray(0, -TAG_LENGTH);
    const tag = bytes.subarray(-TAG_LENGTH);
    if (!this.#keys.some((key) => equalConstantTime(tag, this.#tag(key, body, callId)))) return undefined;
    const reader = { bytes: body, at: 1 };
    const caller = decodeParty(reader);
    const callee = decodeParty(reader);
    const callerTag = body.subarray(reader.at);
    if (equalConstantTime(callerTag, this.#hash(fromTag))) return { caller, callee, from: "caller" };
    // RFC 3261 §12.1.1: what the callee sends has the caller's tag in To. With any other it is of no dialog that was begun here.
    return equalConstantTime(callerTag, this.#hash(toTag)) ? { caller, callee, from: "callee" } : undefined;
  }

  #hash(text: string): Uint8Array {
    return this.#crypto.sha256(binaryBytes(text)).subarray(0, 4);
  }

  #tag(key: HmacKey, body: Uint8Array, callId: string): Uint8Array {
    return this.#crypto.hmacSha256(key, concatBytes(body, binaryBytes(callId))).subarray(0, TAG_LENGTH);
  }
}

function encodeParty({ flow, name, isTrunk, phone }: DialogParty): Uint8Array {
  const text = name.length > LONGEST_NAME ? "" : name;
  const mark = new Uint8Array(isTrunk ? 0 : 4);
  if (!isTrunk) writeU32(mark, 0, phone);
  return concatBytes(encodeFlow(flow), Uint8Array.of(text.length | (isTrunk ? TRUNK : 0)), binaryBytes(text), mark);
}

function encodeFlow({ transport, local, remote, connection }: SipFlow): Uint8Array {
  const head = Uint8Array.of(TRANSPORTS.indexOf(transport), 0, 0, 0, 0);
  writeU32(head, 1, connection);
  return concatBytes(head, encodeAddress(local), encodeAddress(remote));
}

function encodeAddress({ family, w0, w1, w2, w3, port }: Readonly<Address>): Uint8Array {
  const words = family === 4 ? [w3] : [w0, w1, w2, w3];
  const bytes = new Uint8Array(3 + words.length * 4);
  bytes[0] = family;
  writeU16(bytes, 1, port);
  for (const [i, word] of words.entries()) writeU32(bytes, 3 + i * 4, word);
  return bytes;
}

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
}

/** Of bytes that were sealed here: their form is right. */
function decodeParty(reader: Reader): DialogParty {
  const flow = decodeFlow(reader);
  const head = reader.bytes[reader.at++] as number;
  const isTrunk = (head & TRUNK) !== 0;
  const name = String.fromCharCode(...reader.bytes.subarray(reader.at, reader.at + (head & LONGEST_NAME)));
  reader.at += name.length;
  if (isTrunk) return { flow, name, isTrunk, phone: 0 };
  reader.at += 4;
  return { flow, name, isTrunk, phone: readU32(reader.bytes, reader.at - 4) };
}

function decodeFlow(reader: Reader): SipFlow {
  const transport = TRANSPORTS[reader.bytes[reader.at] as number] as SipTransport;
  const connection = readU32(reader.bytes, reader.at + 1);
  reader.at += 5;
  return { transport, connection, local: decodeAddress(reader), remote: decodeAddress(reader) };
}

function decodeAddress(reader: Reader): Address {
  const { bytes, at } = reader;
  const family = bytes[at] === 4 ? 4 : 6;
  const port = readU16(bytes, at + 1);
  const word = (i: number) => readI32(bytes, at + 3 + i * 4);
  reader.at += family === 4 ? 7 : 19;
  const words =
    family === 4 ? { w0: 0, w1: 0, w2: 0, w3: word(0) } : { w0: word(0), w1: word(1), w2: word(2), w3: word(3) };
  return { family, ...words, port, text: "" };
}
