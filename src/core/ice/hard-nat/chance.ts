/** Whether a component has nothing to hope for but probing, and from when on that may be said. */
import { after, type Instant } from "../../base/machine.ts";
import type { ListedComponent } from "../checklist.ts";

/** Ordinary checks are sent three times in it. */
const CHANCE_MS = 2_000;

/** Its peer would take part, and it has no direct path, nor one that has just been lost. */
export function mayProbe({ list, selected, hadPath }: ListedComponent): boolean {
  if (!list.remoteHardNats || list.stream.current !== list) return false;
  // RFC 7675 §5.1: who has answered and does so no more is sent nothing.
  return selected === undefined ? !hadPath : selected.isRelayed;
}

/** Undefined: direct pairs have yet to be tried. */
export function chanceEnds({ list, id }: ListedComponent): Instant | undefined {
  let ends = Number.NEGATIVE_INFINITY as Instant;
  for (const pair of list.of(id)) {
    if (pair.isRelayed || pair.state === "failed") continue;
    if (pair.sentAt === undefined) return undefined;
    const end = after(pair.sentAt, CHANCE_MS);
    if (end > ends) ends = end;
  }
  return ends;
}
