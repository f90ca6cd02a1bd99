/**
 * Which lengths of datagrams pass, whole or in fragments (RFC 5780 §3.5).
 *
 * Nobody here sets the don't-fragment bit. Linux sets it by itself on what fits the path as far as it knows, learns from
 * routers what does not fit, and sends that in fragments from then on. So a length is lost where such a router is silent,
 * or fragments are lost; and where it passes, it may have passed in fragments. That is what a call meets, too.
 */
import type { Address } from "../../base/address.ts";
import { ErrorCode } from "../registry.ts";
import type { Probes } from "./probes.ts";
import { type Outcome, type ProbeSocket, type Procedure, together } from "./procedure.ts";
import { type BehaviorReport, type Finding, known, type LongestDatagram, type Passage, unknown } from "./report.ts";

/**
 * With the IP header: what QUIC asks of every path, what IPv6 promises, what common tunnels leave of Ethernet (VPNs, IPv6
 * in IPv4, PPPoE), and what it takes whole.
 */
const WHOLE = [1228, 1280, 1400, 1420, 1452, 1480, 1492, 1500] as const;
const IN_FRAGMENTS = 2000;

function passes(outcome: Outcome): Passage["passes"] | undefined {
  if (outcome.kind === "silence") return "not";
  if (outcome.kind === "success" && outcome.hasPadding) return "both-ways";
  // RFC 5780 §7.6: a server that does not know PADDING has read it all the same.
  return outcome.kind === "success" || outcome.code === ErrorCode.UnknownAttribute ? "outward" : undefined;
}

function* passage(
  probes: Probes,
  socket: ProbeSocket,
  server: Readonly<Address>,
  bytes: number,
): Procedure<Passage | "server-busy" | undefined> {
  const outcome = yield* probes.padded(socket, server, bytes);
  if (outcome.kind === "error" && outcome.code === ErrorCode.ServerError) return "server-busy";
  const result = passes(outcome);
  return result && { bytes, passes: result };
}

type Lengths = Pick<BehaviorReport, "passages" | "longestDatagram" | "fragments">;

export function* passages(probes: Probes, socket: ProbeSocket, server: Readonly<Address>): Procedure<Lengths> {
  const trials = [...WHOLE, IN_FRAGMENTS].map((bytes) => passage(probes, socket, server, bytes));
  const results = yield* together(...trials);
  const found = results.filter((one) => typeof one === "object");
  const none = unknown(results.includes("server-busy") ? "server-busy" : "no-long-answer");
  const whole = found.filter(({ bytes }) => bytes !== IN_FRAGMENTS);
  const longestDatagram = judgeLongest(whole) ?? none;
  const longer = found.find(({ bytes }) => bytes === IN_FRAGMENTS);
  const fragments = longestDatagram.known && longer ? known(longer.passes !== "not") : none;
  return { passages: known(found), longestDatagram, fragments };
}

/** The lengths are in order. Undefined: none passes. */
function judgeLongest(whole: readonly Passage[]): Finding<LongestDatagram> | undefined {
  // A shorter one that is lost was lost by chance.
  const at = whole.findLastIndex(({ passes }) => passes !== "not");
  const longest = whole[at];
  if (longest === undefined || longest.passes === "not") return undefined;
  return known({ bytes: longest.bytes, passes: longest.passes, lost: whole[at + 1]?.bytes });
}
