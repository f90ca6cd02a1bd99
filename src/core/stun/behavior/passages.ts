/** Which lengths of datagrams pass, whole or in fragments (RFC 5780 §3.5). */
import type { Address } from "../../base/address.ts";
import { ErrorCode } from "../registry.ts";
import type { Probes } from "./probes.ts";
import type { Outcome, ProbeSocket, Procedure } from "./procedure.ts";
import { type Finding, known, type Passage } from "./report.ts";

/** With the IP header: what IPv6 promises, what Ethernet takes, and what must go in fragments. */
const LENGTHS = [1280, 1500, 2000] as const;

function passes(outcome: Outcome): Passage["passes"] | undefined {
  if (outcome.kind === "silence") return "not";
  if (outcome.kind === "success" && outcome.hasPadding) return "both-ways";
  // RFC 5780 §7.6: a server that does not know PADDING has read it all the same.
  return outcome.kind === "success" || outcome.code === ErrorCode.UnknownAttribute ? "outward" : undefined;
}

export function* passages(
  probes: Probes,
  socket: ProbeSocket,
  server: Readonly<Address>,
): Procedure<Finding<readonly Passage[]>> {
  const found: Passage[] = [];
  for (const bytes of LENGTHS) {
    const result = passes(yield* probes.padded(socket, server, bytes));
    if (result !== undefined) found.push({ bytes, passes: result });
  }
  return known(found);
}
