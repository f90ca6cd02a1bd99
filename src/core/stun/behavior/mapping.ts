/** How a NAT maps one socket toward several destinations (RFC 5780 §4.3), over UDP and over TCP. */
import { type Address, sameAddress, sameIp } from "../../base/address.ts";
import { type Probes, type Server, withPort } from "./probes.ts";
import { type Outcome, open, type ProbeSocket, type Procedure } from "./procedure.ts";
import { type Finding, known, type Mapping, unknown } from "./report.ts";

/** Asks one destination, from the same local port as always; undefined: no answer. */
type AskMapped = (to: Readonly<Address>) => Procedure<Readonly<Address> | undefined>;

/** `first` is what `server` saw; `seen` is what other servers saw of the same socket. */
export interface Sighting {
  readonly server: Readonly<Address>;
  readonly mapped: Readonly<Address>;
}

function* compare(
  first: Readonly<Address>,
  server: Server,
  seen: readonly Sighting[],
  askMapped: AskMapped,
): Procedure<Finding<Mapping>> {
  const elsewhere = seen.find((one) => !sameIp(one.server, server.address));
  const { other } = server;
  // RFC 5780 §4.3: in test II the other address is asked, at the primary port.
  const second = other && (yield* askMapped(withPort(other, server.address)));
  if (other === undefined || second === undefined) {
    if (elsewhere === undefined) return unknown(other === undefined ? "one-address" : "other-address-silent");
    return known(sameAddress(elsewhere.mapped, first) ? "endpoint-independent" : "destination-dependent");
  }
  if (sameAddress(second, first)) return known("endpoint-independent");
  // RFC 5780 §4.3: in test III, at the other port.
  const third = yield* askMapped(other);
  if (third === undefined) return known("destination-dependent");
  return known(sameAddress(third, second) ? "address-dependent" : "address-and-port-dependent");
}

export function mappedOf(outcome: Outcome): Readonly<Address> | undefined {
  return outcome.kind === "success" ? outcome.mapped : undefined;
}

/** `seen`: what each server saw of `socket`; the one that is compared with first. */
export function* udpMapping(
  probes: Probes,
  socket: ProbeSocket,
  server: Server,
  seen: readonly Sighting[],
): Procedure<Finding<Mapping>> {
  const [first] = seen;
  if (first === undefined) return unknown("no-answer");
  return yield* compare(first.mapped, server, seen, function* (to) {
    return mappedOf(yield* probes.plain(socket, to));
  });
}

/** Each destination by a connection of its own, all from one local port. */
export function* tcpMapping(probes: Probes, server: Server): Procedure<Finding<Mapping>> {
  const connection = yield* open({ kind: "open", transport: "tcp", to: server.address, from: undefined });
  if (connection === undefined) return unknown("no-tcp");
  const first = mappedOf(yield* probes.plain(connection, server.address));
  if (first === undefined) return unknown("no-tcp");
  return yield* compare(first, server, [], function* (to) {
    const next = yield* open({ kind: "open", transport: "tcp", to, from: connection });
    return next && mappedOf(yield* probes.plain(next, to));
  });
}
