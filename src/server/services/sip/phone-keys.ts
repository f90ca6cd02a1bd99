/**
 * Users' keys, so that a phone that registers every few minutes, or calls, does not cost a look into the database. Each is
 * kept until the user changes, of which `UserWatch` tells within a second, whichever process changed it. Who is unknown is
 * looked up every time.
 */
import { detached } from "../../../core/base/detached.ts";
import type { SipUserKeys } from "../../../core/edge/outputs.ts";
import { defaultRegistrarConfig } from "../../../core/sip/registrar/config.ts";

/** As many as phones may be registered, at 200 bytes each. */
const most = defaultRegistrarConfig.bindings;
const md5Length = 16;

export class PhoneKeys {
  readonly #find: (name: string) => SipUserKeys | undefined;
  /** Both keys of each as one binary string: a third of what two arrays of bytes take. */
  readonly #known: Map<string, string> = new Map();
  /** Whose keys were given last, where that took no look into the database. */
  #given: string | undefined;

  constructor(find: (name: string) => SipUserKeys | undefined) {
    this.#find = find;
  }

  find(name: string): SipUserKeys | undefined {
    const known = this.#known.get(name);
    this.#given = known && name;
    if (known !== undefined) return unpacked(known);
    const found = this.#find(name);
    if (found === undefined) return undefined;
    if (this.#known.size >= most) this.#known.clear();
    this.#known.set(detached(name), packed(found));
    return found;
  }

  /**
   * A wrong password was shown just now: what is known may be an old one. And that a password is wrong takes as long to
   * find out of a user as of nobody.
   */
  doubt(name: string): void {
    if (this.#given === name) this.#find(name);
    this.forget(name);
  }

  /** The user was removed, or has a new password. */
  forget(name: string): void {
    this.#known.delete(name);
  }
}

function packed({ md5, sha256 }: SipUserKeys): string {
  return Buffer.concat([md5, sha256]).toString("latin1");
}

function unpacked(text: string): SipUserKeys {
  const bytes = Buffer.from(text, "latin1");
  return { md5: bytes.subarray(0, md5Length), sha256: bytes.subarray(md5Length) };
}
