/**
 * What a NAT or firewall lets in to a socket (RFC 5780 §4.4). Silence is a finding only if the server would have spoken:
 * so an answer's source is looked at, and where something can be proven about a silent server, it is.
 */
import { type Address, sameAddress } from "../../base/address.ts";
import { ChangeFlag, ErrorCode } from "../registry.ts";
import { type Probes, type Server, withPort } from "./probes.ts";
import { type Outcome, type ProbeSocket, type Procedure, together } from "./procedure.ts";
import { type Filtering, type Finding, known, type Mapping, type UnknownReason, unknown } from "./report.ts";

/** Whether an answer came from where it was wanted; a reason where that says nothing. */
export function arrived(outcome: Outcome, wanted: Readonly<Address>): boolean | UnknownReason {
  if (outcome.kind === "silence") return outcome.elsewhere ? "answer-from-elsewhere" : false;
  if (outcome.kind === "error") {
    if (outcome.code === ErrorCode.ServerError) return "server-busy";
    return outcome.code === ErrorCode.UnknownAttribute ? "change-refused" : "change-unproven";
  }
  // RFC 5780 §7.2: a server that does not know CHANGE-REQUEST, and says nothing, answers from where it was asked.
  return sameAddress(outcome.from, wanted) ? true : "change-ignored";
}

/** Both tests run at once. */
export function* filteringFrom(
  probes: Probes,
  fresh: ProbeSocket,
  server: Server,
): Procedure<readonly [Outcome, Outcome] | undefined> {
  const { address, other } = server;
  if (other === undefined) return undefined;
  // RFC 5780 §4.4: tests II and III, both addresses changed and the port alone.
  return yield* together(
    probes.change(fresh, address, ChangeFlag.Ip | ChangeFlag.Port, other),
    probes.change(fresh, address, ChangeFlag.Port, withPort(address, other)),
  );
}

/** Judges what `filteringFrom` brought. `mapping` is that of `main`. */
export function* judgeFiltering(
  probes: Probes,
  main: ProbeSocket,
  server: Server,
  outcomes: readonly [Outcome, Outcome] | undefined,
  mapping: Finding<Mapping>,
): Procedure<Finding<Filtering>> {
  const { address, other } = server;
  if (other === undefined || outcomes === undefined) return unknown("one-address");
  const both = arrived(outcomes[0], other);
  if (typeof both === "string") return unknown(both);
  if (both) return known("endpoint-independent");
  const port = arrived(outcomes[1], withPort(address, other));
  if (typeof port === "string") return unknown(port);
  // Where one mapping serves all destinations, having sent to the other address opens every filter for it: an answer
  // that is missing even then was never sent. Where mappings differ this cannot be told, and the RFC's word stands.
  if (mapping.known && mapping.value === "endpoint-independent") {
    const opened = yield* probes.plain(main, other);
    if (opened.kind !== "success") return unknown("other-address-silent");
    const control = yield* probes.change(main, address, ChangeFlag.Ip | ChangeFlag.Port, other);
    const proof = arrived(control, other);
    if (proof !== true) return unknown(proof === "server-busy" ? proof : "change-unproven");
  } else if (!mapping.known) return unknown(mapping.why);
  return known(port ? "address-dependent" : "address-and-port-dependent");
}
