/** What every part of one world shares, and how an address is given to a part. */
import { type Address, parseIp } from "../core/base/address.ts";
import { PosternError } from "../core/base/failure.ts";
import { type Prefix, parsePrefix } from "../core/base/prefix.ts";
import type { Agenda } from "./agenda.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Sightings } from "./sightings.ts";

export interface Surroundings {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly sightings: Sightings;
}

/** The address that `text` says, with `port`. Throws a PosternError, code NATLAB_ADDRESS, when it says none. */
export function toAddress(text: string, port = 0): Address {
  const address = parseIp(text, port);
  if (address === undefined) throw new PosternError("NATLAB_ADDRESS", `Write an IP address in place of "${text}".`);
  return address;
}

/** The prefix that `text` says. Throws a PosternError, code NATLAB_ADDRESS, when it says none. */
export function toPrefix(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new PosternError("NATLAB_ADDRESS", `Write a prefix in place of "${text}".`);
  return prefix;
}
