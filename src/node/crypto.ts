/** The core's cryptography from what Node carries: one-shot hashes, and HMACs from `hmac.ts`. */
import { hash } from "node:crypto";
import type { Crypto, HmacKey } from "../core/base/ports.ts";
import { digest, ImportedKey } from "./hmac.ts";

export const nodeCrypto: Crypto = {
  md5: (data) => digest("md5", data),
  sha256: (data) => digest("sha256", data),
  hashText: (algorithm, text) => hash(algorithm, Buffer.from(text, "latin1"), "hex"),
  importKey: (bytes) => new ImportedKey(bytes) as HmacKey,
  hmacSha1: (key, data) => (key as ImportedKey).sha1(data),
  hmacSha256: (key, data) => (key as ImportedKey).sha256(data),
};
