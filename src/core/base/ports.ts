/** What a machine may ask of its host while it runs: all synchronous, none of it I/O on the network. */
import type { UnixSeconds } from "./machine.ts";

declare const hmacKey: unique symbol;

/** A key in the form the platform computes with fastest. Opaque to the core. */
export interface HmacKey {
  readonly [hmacKey]?: true;
}

export interface Crypto {
  md5(data: Uint8Array): Uint8Array;
  sha256(data: Uint8Array): Uint8Array;
  /** Of a binary string, one character a byte; in lower-case hexadecimal, as digest authentication computes on. */
  hashText(algorithm: "md5" | "sha256", text: string): string;
  importKey(bytes: Uint8Array): HmacKey;
  hmacSha1(key: HmacKey, data: Uint8Array): Uint8Array;
  hmacSha256(key: HmacKey, data: Uint8Array): Uint8Array;
}

/** Bytes from a CSPRNG, or from a seeded generator in tests. */
export interface Random {
  bytes(length: number): Uint8Array;
}

export interface WallClock {
  now(): UnixSeconds;
}

export interface Ports {
  readonly crypto: Crypto;
  readonly random: Random;
  readonly wallClock: WallClock;
}
