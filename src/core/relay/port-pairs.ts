/**
 * The sockets of a party's stream: a pair for RTP and RTCP, one where they share it or where there is no RTCP. A port that
 * somebody else on the host holds is replaced by another, pair by pair.
 */
import type { Address } from "../base/address.ts";
import { type Component, reroute } from "./component.ts";
import type { LegStream } from "./leg.ts";
import type { LocalPort } from "./local-ports.ts";
import type { DescriptionRefusal, PortId } from "./outputs.ts";
import type { RelayState } from "./state.ts";

/** Ports to try when others on the host hold the ones we chose. */
const MAX_ATTEMPTS = 12;

/** Asks for what the stream has not got yet. */
export function openPorts(state: RelayState, stream: LegStream, isPaired: boolean): DescriptionRefusal | undefined {
  const { media, control, leg } = stream;
  const { place } = leg;
  if (place === undefined) return "no-address";
  stream.isPaired = isPaired;
  const missing = Number(media.port === undefined) + Number(isPaired && control.port === undefined);
  if (missing === 0) return undefined;
  const { quotas } = state.config;
  if (leg.session.ports + missing > quotas.portsPerSession) return "port-quota";
  if (state.ports.size + missing > quotas.ports) return "port-quota";
  if (media.port === undefined) {
    // RFC 3550 §11: RTP on an even port, RTCP on the next.
    const port = place.take(state.random, isPaired ? "pair" : "even");
    if (port === undefined) return "no-ports";
    open(state, media, port);
  }
  if (isPaired && control.port === undefined) {
    const next = (media.port as LocalPort | undefined)?.bound.port ?? 0;
    const port = place.takePort(next + 1) ? next + 1 : place.take(state.random, "any");
    if (port === undefined) return "no-ports";
    open(state, control, port);
  }
  return undefined;
}

function open(state: RelayState, component: Component, number: number): void {
  const { session, place } = component.stream.leg;
  if (place === undefined) return;
  const port = state.ports.add(
    (id): LocalPort => ({
      id,
      place,
      bound: withPort(place.address.bound, number),
      advertised: withPort(place.address.advertised, number),
      component,
      state: "binding",
    }),
  );
  component.port = port;
  session.ports++;
  state.stats.ports++;
  state.outputs.push({ kind: "bindPort", port: port.id, address: port.bound });
}

function withPort(address: Readonly<Address>, port: number): Address {
  return { ...address, port };
}

export function isOpen({ media, control, isPaired }: LegStream): boolean {
  return media.port?.state === "bound" && (!isPaired || control.port?.state === "bound");
}

/** The component's socket is not wanted any more. */
export function closePort(state: RelayState, component: Component): void {
  const { port } = component;
  if (port === undefined) return;
  take(state, component);
  if (port.state === "binding") port.state = "abandoned";
  else release(state, port);
}

function take(state: RelayState, component: Component): void {
  component.port = undefined;
  component.stream.leg.session.ports--;
  state.stats.ports--;
  reroute(component);
}

function release(state: RelayState, port: LocalPort): void {
  state.outputs.push({ kind: "releasePort", port: port.id });
  forget(state, port);
}

function forget(state: RelayState, port: LocalPort): void {
  port.place.giveBack(port.bound.port);
  state.ports.remove(port);
}

/** A socket is open; the stream that it is for, or undefined where nobody wants it any more. */
export function portBound(state: RelayState, id: PortId): LegStream | undefined {
  const port = state.ports.find(id);
  if (port === undefined || port.state === "bound") return undefined;
  if (port.state === "abandoned") {
    release(state, port);
    return undefined;
  }
  port.state = "bound";
  reroute(port.component);
  return port.component.stream;
}

/** A socket could not be opened, or was lost. Returns the stream that cannot have what it needs, if one cannot. */
export function portFailed(
  state: RelayState,
  id: PortId,
  why: "busy" | "exhausted" | "gone",
): { readonly stream: LegStream; readonly refusal: DescriptionRefusal } | undefined {
  const port = state.ports.find(id);
  if (port === undefined) return undefined;
  const { component } = port;
  const { stream } = component;
  if (port.state === "abandoned") {
    forget(state, port);
    return undefined;
  }
  take(state, component);
  // A port that somebody else holds stays taken while others are tried, or it would be tried again.
  if (port.state === "bound") {
    const { leg, index } = stream;
    forget(state, port);
    state.tell({ type: "port-lost", session: leg.session.id, leg: leg.id, stream: index });
    return { stream, refusal: "no-ports" };
  }
  // A pair that is not told to anybody yet is replaced whole; a port that media comes in by stays.
  const isLive = stream.description !== undefined && stream.media.port?.state === "bound";
  if (!isLive) closePort(state, component.role === "media" ? stream.control : stream.media);
  const isWorthwhile = why === "busy" && ++stream.attempts < MAX_ATTEMPTS;
  const refusal = isWorthwhile ? openPorts(state, stream, stream.isPaired) : "no-ports";
  forget(state, port);
  return refusal === undefined ? undefined : { stream, refusal };
}
