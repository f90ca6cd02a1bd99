/** What one end tells the other when speech has ended, so that both show the same. It is read as what a stranger says. */
import { z } from "zod";
import { PosternError } from "../../../core/base/failure.ts";
import { type ChoiceCode, choice, type Reason } from "../../../core/ice/reasons.ts";
import { parsePeer } from "../../../node/turn-client/peer.ts";
import type { End } from "./end.ts";
import type { Heard } from "./speech.ts";

export interface Summary {
  readonly end: End;
  readonly heard: Heard;
  /** Why the path was chosen, where it was chosen there. */
  readonly choice: ChoiceCode | undefined;
}

/** Only what is an address gets on the screen. */
const address = z.string().max(64).refine(isAddress).optional();
const nat = z.object({
  kind: z
    .enum(["open", "symmetric-firewall", "full-cone", "restricted-cone", "port-restricted-cone", "symmetric"])
    .optional(),
  mapping: z
    .enum(["endpoint-independent", "destination-dependent", "address-dependent", "address-and-port-dependent"])
    .optional(),
  filtering: z.enum(["endpoint-independent", "address-dependent", "address-and-port-dependent"]).optional(),
  layers: z.enum(["one", "several", "probably-several", "provider"]).optional(),
});
const shape = z.object({
  end: z.object({
    host: address,
    outside: address,
    relay: address,
    nat: nat.optional(),
    noUdp: z.boolean().optional(),
  }),
  heard: z.object({ packets: z.number().int().nonnegative(), jitter: z.number().nonnegative() }),
  choice: z
    .enum(["best-of-all", "better-failed", "better-unanswered", "moved-to-better", "replaced-lost", "peer-nominated"])
    .optional(),
});

export function formatSummary(summary: Summary): string {
  return JSON.stringify(summary);
}

/** Undefined for what is none, as of another version. */
export function parseSummary(text: string): Summary | undefined {
  try {
    const { data } = shape.safeParse(JSON.parse(text));
    return data && { ...data, choice: data.choice };
  } catch {
    return undefined;
  }
}

/** The reason of whoever decided. */
export function decidedBecause(own: Reason, theirs: Summary | undefined): Reason {
  if (own.code !== "peer-nominated" || theirs?.choice === undefined) return own;
  return choice(theirs.choice);
}

function isAddress(text: string): boolean {
  try {
    parsePeer(text);
    return true;
  } catch (error) {
    if (error instanceof PosternError) return false;
    throw error;
  }
}
