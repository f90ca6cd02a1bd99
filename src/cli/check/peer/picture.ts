/** The path as it is seen, from this machine at the top to the other at the bottom. */
import type { ClassicName, NatLayers } from "../../../core/stun/behavior/report.ts";
import type { End } from "./end.ts";
import type { Outcome } from "./outcome.ts";

const kinds: Readonly<Record<ClassicName, string>> = {
  open: "",
  "symmetric-firewall": "a firewall",
  "full-cone": "full cone",
  "restricted-cone": "address-restricted cone",
  "port-restricted-cone": "port-restricted cone",
  symmetric: "symmetric: another port toward everybody",
};
const layers: Readonly<Record<NatLayers, string>> = {
  one: "",
  several: "another NAT behind it",
  "probably-several": "probably another NAT behind it",
  provider: "the provider's",
};
const LINE = "      │";
const columns = { name: 19, address: 24 } as const;

function station(name: string, address: string | undefined, ...notes: readonly (string | undefined)[]): string {
  const note = notes.filter(Boolean).join("; ");
  return `  ${name.padEnd(columns.name)}${(address ?? "unknown").padEnd(columns.address)}${note}`.trimEnd();
}

/** From the host outward. */
function stations(end: End, who: string, isRelayUsed: boolean): string[] {
  const { host, outside, relay, nat, noUdp } = end;
  const kind = nat?.kind && kinds[nat.kind];
  const found = [station(who, host, outside === undefined ? kind : "", noUdp === true ? "no UDP gets out" : "")];
  if (outside !== undefined) found.push(station("NAT", outside, kind, nat?.layers && layers[nat.layers]));
  if (isRelayUsed && relay !== undefined) found.push(station("relay", relay));
  return found;
}

export function drawPath({
  outcome,
  own,
  peer,
  speech,
}: Pick<Outcome, "outcome" | "own" | "peer" | "speech">): string[] {
  const isRelayed = outcome === "relayed";
  const here = stations(own, "this machine", isRelayed);
  const there = stations(peer, "the other machine", isRelayed).reverse();
  const roundTrip = speech?.roundTrip === undefined ? "" : `, ${Math.round(speech.roundTrip.median)} ms there and back`;
  const way = { direct: "direct", relayed: "through the relay", failed: "" }[outcome];
  const middle = outcome === "failed" ? ["      ✗  nothing gets through"] : [`${LINE}  ${way}${roundTrip}`];
  return [...joined(here), ...middle, ...joined(there)];
}

function joined(all: readonly string[]): string[] {
  return all.flatMap((one, i) => (i === 0 ? [one] : [LINE, one]));
}
