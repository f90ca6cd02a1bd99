/**
 * How much may be asked in a second, each by what is known of who asks, because that is forged with different ease: a
 * stranger; who shows a nonce of ours, and so gets what is sent to its address; a source where phones are registered; and
 * a trunk, whose address is all that it shows.
 */
import { readU32 } from "../base/bytes.ts";
import type { Instant } from "../base/machine.ts";
import type { Random } from "../base/ports.ts";
import { SourceBudget } from "../base/source-budget.ts";
import { type BucketSize, TokenBucket } from "../base/token-bucket.ts";
import type { SipFlow } from "../sip/flow.ts";
import type { EdgeLimits, Trunk } from "./config.ts";

export type Standing = "stranger" | "proven" | "phone";

/** Wrong passwords in a row that are answered: a person tries some, and a house has several phones. */
const FAILURES_AT_ONCE = 10;

/**
 * Wrong passwords of one user from one source, in a row and then one in so many seconds, after which none is looked at: a
 * house's phones are soon let in when they have the new password, and who guesses has some thousand tries a day.
 */
const GUESSES = { atOnce: 30, every: 60 } as const;

export class Budgets {
  readonly #sources: Readonly<Record<Standing, SourceBudget>>;
  readonly #failures: SourceBudget;
  readonly #guesses: SourceBudget;
  readonly #trunks: Map<string, TokenBucket> = new Map();
  readonly #ofTrunk: BucketSize;

  constructor({ strangersPerSecond, phonesPerSecond, failuresPerSecond, trunkPerSecond }: EdgeLimits, random: Random) {
    const seed = () => readU32(random.bytes(4), 0);
    this.#sources = {
      stranger: new SourceBudget(strangersPerSecond, seed()),
      proven: new SourceBudget(strangersPerSecond, seed()),
      phone: new SourceBudget(phonesPerSecond, seed()),
    };
    this.#failures = new SourceBudget(failuresPerSecond, seed(), FAILURES_AT_ONCE);
    this.#guesses = new SourceBudget(1 / GUESSES.every, seed(), GUESSES.atOnce);
    this.#ofTrunk = { rate: trunkPerSecond, burst: trunkPerSecond * 2 };
  }

  take({ remote }: SipFlow, standing: Standing, now: Instant): boolean {
    return this.#sources[standing].take(remote, now);
  }

  /** All of a trunk's addresses together. */
  takeOfTrunk({ name }: Trunk, now: Instant): boolean {
    let bucket = this.#trunks.get(name);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#ofTrunk, now);
      this.#trunks.set(name, bucket);
    }
    return bucket.take(1, now);
  }

  /** A wrong password was shown; whether that is answered. */
  takeFailure({ remote }: SipFlow, user: string, now: Instant): boolean {
    this.#guesses.take(remote, now, user);
    return this.#failures.take(remote, now);
  }

  /** Whether no password of that user is looked at, whoever is behind that address. Others' are. */
  isBanned({ remote }: SipFlow, user: string, now: Instant): boolean {
    return !this.#guesses.has(remote, now, user);
  }
}
