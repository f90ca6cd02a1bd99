/**
 * Nonces that need no memory: the time, a few random bytes, and an HMAC over these and the IP address of who was
 * challenged. The port is not covered: a NAT may give a phone another one between two requests. The random bytes keep
 * apart the phones behind one address that are challenged within one second, because each counts its requests by itself.
 */
import type { Address } from "../../base/address.ts";
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { equalConstantTime, readU32, writeU32 } from "../../base/bytes.ts";
import type { UnixSeconds } from "../../base/machine.ts";
import type { Crypto, HmacKey, Ports } from "../../base/ports.ts";

const TIME_LENGTH = 4;
const SALT_LENGTH = 8;
const TAG_LENGTH = 12;
const BODY_LENGTH = TIME_LENGTH + SALT_LENGTH + TAG_LENGTH;

/** Characters in a nonce: base64 of a whole number of triples, and so without padding. */
export const SIP_NONCE_LENGTH = 32;

export class SipNonces {
  readonly #ports: Ports;
  readonly #keys: readonly HmacKey[];
  /** In seconds. */
  readonly lifetime: number;

  /** `keys`: the first signs, all verify, so that a fleet or a restarted server accepts what was given before. */
  constructor(ports: Ports, keys: readonly Uint8Array[], lifetime: number) {
    this.#ports = ports;
    this.#keys = keys.map((key) => ports.crypto.importKey(key));
    this.lifetime = lifetime;
  }

  create(client: Readonly<Address>): string {
    const body = new Uint8Array(BODY_LENGTH);
    writeU32(body, 0, this.#ports.wallClock.now());
    body.set(this.#ports.random.bytes(SALT_LENGTH), TIME_LENGTH);
    const covered = body.subarray(0, TIME_LENGTH + SALT_LENGTH);
    body.set(tagOf(this.#ports.crypto, this.#keys[0] as HmacKey, covered, client), TIME_LENGTH + SALT_LENGTH);
    return encodeBase64(body, "");
  }

  /** When this nonce was made; undefined when it is not ours, was given to another address, or is too old. */
  issuedAt(nonce: string, client: Readonly<Address>): UnixSeconds | undefined {
    if (nonce.length !== SIP_NONCE_LENGTH) return undefined;
    const body = decodeBase64(nonce);
    if (body?.length !== BODY_LENGTH) return undefined;
    const at = readU32(body, 0) as UnixSeconds;
    const age = this.#ports.wallClock.now() - at;
    // Clocks of a fleet differ a little: a nonce from just ahead is good.
    if (age > this.lifetime || age < -30) return undefined;
    const covered = body.subarray(0, TIME_LENGTH + SALT_LENGTH);
    const tag = body.subarray(TIME_LENGTH + SALT_LENGTH);
    const isOurs = this.#keys.some((key) => equalConstantTime(tag, tagOf(this.#ports.crypto, key, covered, client)));
    return isOurs ? at : undefined;
  }
}

function tagOf(crypto: Crypto, key: HmacKey, covered: Uint8Array, client: Readonly<Address>): Uint8Array {
  const { length } = covered;
  const signed = new Uint8Array(length + 17);
  signed.set(covered);
  signed[length] = client.family;
  writeU32(signed, length + 1, client.w0);
  writeU32(signed, length + 5, client.w1);
  writeU32(signed, length + 9, client.w2);
  writeU32(signed, length + 13, client.w3);
  return crypto.hmacSha256(key, signed).subarray(0, TAG_LENGTH);
}
