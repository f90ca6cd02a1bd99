/**
 * The server's side of digest authentication: judges the parameters of an Authorization or Proxy-Authorization header.
 * The key is looked up between the two halves, because that may take a database.
 */
import type { Address } from "../../base/address.ts";
import { equalConstantTime } from "../../base/bytes.ts";
import type { UnixSeconds } from "../../base/machine.ts";
import type { Ports } from "../../base/ports.ts";
import { binaryBytes, type DigestAlgorithm, digestResponse, parseDigestAlgorithm } from "./algorithm.ts";
import { NonceCounts } from "./nonce-counts.ts";
import { SipNonces } from "./nonces.ts";

/** What came: names in lower case, values without their quotes. */
export type DigestParameters = ReadonlyMap<string, string>;

/** Credentials whose form is right and whose nonce is good; whether the password is, `verify` says. */
export interface Claim {
  readonly username: string;
  readonly realm: string;
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  readonly issuedAt: UnixSeconds;
  readonly nonceCount: string;
  readonly cnonce: string;
  readonly uri: string;
  readonly response: string;
}

/** `absent`: ask; `malformed`: 400; `stale`: ask again, and say that the password was not the trouble. */
export type ClaimFailure = "absent" | "malformed" | "stale";

/** `replayed` is answered as stale: who has the password computes another answer, who overheard one cannot. */
export type Verdict = "right" | "wrong" | "replayed";

export interface DigestConfig {
  readonly realm: string;
  /** The first signs nonces, all verify. At least 16 bytes each. */
  readonly nonceKeys: readonly Uint8Array[];
  /** In seconds. */
  readonly nonceLifetime: number;
  readonly algorithms: readonly DigestAlgorithm[];
  /** Nonces whose counts are remembered, at most. */
  readonly nonceCapacity: number;
}

export class DigestServer {
  readonly #config: DigestConfig;
  readonly #ports: Ports;
  readonly #nonces: SipNonces;
  readonly #counts: NonceCounts;

  constructor(config: DigestConfig, ports: Ports) {
    this.#config = config;
    this.#ports = ports;
    this.#nonces = new SipNonces(ports, config.nonceKeys, config.nonceLifetime);
    this.#counts = new NonceCounts(config.nonceLifetime, config.nonceCapacity, ports.wallClock.now());
  }

  /** The values of the header fields that ask `client` for credentials, in the order in which they are to be sent. */
  challenges(client: Readonly<Address>, isStale: boolean): string[] {
    const nonce = this.#nonces.create(client);
    const stale = isStale ? ", stale=true" : "";
    return this.#config.algorithms.map(
      (algorithm) =>
        `Digest realm="${this.#config.realm}", nonce="${nonce}", algorithm=${algorithm}, qop="auth"${stale}`,
    );
  }

  /** Of several sets of credentials the one for our realm counts. Costs no memory. */
  examine(credentials: readonly DigestParameters[], client: Readonly<Address>): Claim | ClaimFailure {
    const own = credentials.find((parameters) => parameters.get("realm") === this.#config.realm);
    if (own === undefined) return "absent";
    const claim = readClaim(own);
    if (claim === undefined) return "malformed";
    if (!this.#config.algorithms.includes(claim.algorithm)) return "stale";
    const issuedAt = this.#nonces.issuedAt(claim.nonce, client);
    return issuedAt === undefined ? "stale" : { ...claim, issuedAt };
  }

  /** `ha1`: the user's, of the claim's algorithm; undefined when there is no such user, which takes as long to say. */
  verify(claim: Claim, method: string, ha1: Uint8Array | undefined): Verdict {
    const key = ha1 ?? new Uint8Array(claim.algorithm === "MD5" ? 16 : 32);
    const expected = digestResponse(this.#ports.crypto, claim.algorithm, key, { ...claim, method });
    const isEqual = equalConstantTime(binaryBytes(expected), binaryBytes(claim.response.toLowerCase()));
    if (!isEqual || ha1 === undefined) return "wrong";
    const count = Number.parseInt(claim.nonceCount, 16);
    return this.#counts.use(claim.nonce, claim.issuedAt, count, this.#ports.wallClock.now()) ? "right" : "replayed";
  }
}

function readClaim(parameters: DigestParameters): Omit<Claim, "issuedAt"> | undefined {
  const username = parameters.get("username");
  const nonce = parameters.get("nonce");
  const uri = parameters.get("uri");
  const response = parameters.get("response");
  const cnonce = parameters.get("cnonce");
  const nonceCount = parameters.get("nc");
  const algorithm = parseDigestAlgorithm(parameters.get("algorithm"));
  if (!username || !nonce || !uri || !response || !cnonce || algorithm === undefined) return undefined;
  // RFC 8760 §2.6: quality of protection was asked for, so that an answer without it is an attempt to do with less.
  if (parameters.get("qop")?.toLowerCase() !== "auth") return undefined;
  if (nonceCount === undefined || !/^[0-9a-fA-F]{8}$/.test(nonceCount)) return undefined;
  return { username, realm: parameters.get("realm") as string, algorithm, nonce, nonceCount, cnonce, uri, response };
}
