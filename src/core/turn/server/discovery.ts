/**
 * Binding where NAT behaviour discovery is served (RFC 5780 §6.1). An answer may leave by another socket, go to another
 * port of who asked, or be padded: whoever spoofs a source can aim all of that, so it has a budget of its own on top of
 * the one for strangers, and never much more bytes than were sent.
 */
import type { Instant } from "../../base/machine.ts";
import { Attribute, ChangeFlag, ErrorCode, MessageClass } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import type { ClientPath } from "./client-path.ts";
import { cornerOf, type DiscoverySite } from "./discovery-sites.ts";
import { refuseUnproven, sendUnproven } from "./reply.ts";
import type { ServerState } from "./state.ts";

export const DISCOVERY_ATTRIBUTES: readonly number[] = [
  Attribute.ChangeRequest,
  Attribute.ResponsePort,
  Attribute.Padding,
];

/** More would only be more fragments: two of Ethernet's are one already. */
const MAX_PADDING = 2048;

const ATTRIBUTE_HEADER = 4;
const FINGERPRINT_LENGTH = ATTRIBUTE_HEADER + 4;

/** Services live below; a mapping that a client asks about does not. */
const LOWEST_RESPONSE_PORT = 1024;

interface Wish {
  readonly changeIp: boolean;
  readonly changePort: boolean;
  /** Undefined: the port that asked. */
  readonly responsePort: number | undefined;
  /** Bytes; undefined: none. */
  readonly padding: number | undefined;
}

/** What the request wishes of its answer; undefined where that cannot be. */
function readWish(view: StunView): Wish | undefined {
  const flags = view.has(Attribute.ChangeRequest) ? view.u32(Attribute.ChangeRequest) : 0;
  if (flags === undefined) return undefined;
  const port = view.bytes(Attribute.ResponsePort);
  // RFC 5780 §7.5: a port and two bytes of padding, which some count in the length.
  if (port !== undefined && port.length !== 4 && port.length !== 2) return undefined;
  const responsePort = port && ((port[0] as number) << 8) | (port[1] as number);
  const padding = view.bytes(Attribute.Padding)?.length;
  // RFC 5780 §6.1: PADDING together with RESPONSE-PORT is 400.
  if (responsePort !== undefined && padding !== undefined) return undefined;
  // DEVIATES RFC 5780 §7.5: ports below 1024 are refused, so that no answer is aimed at a service.
  if (responsePort !== undefined && responsePort < LOWEST_RESPONSE_PORT) return undefined;
  const [changeIp, changePort] = [(flags & ChangeFlag.Ip) !== 0, (flags & ChangeFlag.Port) !== 0];
  return { changeIp, changePort, responsePort, padding };
}

function reflects({ changeIp, changePort, responsePort, padding }: Wish): boolean {
  return changeIp || changePort || responsePort !== undefined || padding !== undefined;
}

/** Answers a Binding request whose attributes are all known. */
export function answerDiscovery(
  state: ServerState,
  view: StunView,
  path: ClientPath,
  site: DiscoverySite,
  now: Instant,
): void {
  const wish = readWish(view);
  if (wish === undefined) return refuseUnproven(state, view, path, ErrorCode.BadRequest);
  if (reflects(wish) && !state.discovery.takeReflection(path.remote, now)) {
    // Said to whoever asked, and where it asked from: silence would be taken for a filter, or for a path too narrow.
    return refuseUnproven(state, view, path, ErrorCode.ServerError);
  }
  const from = cornerOf(site, wish.changeIp, wish.changePort);
  const elsewhere = cornerOf(site, true, true);
  const writer = state.writer.beginAnswer(view, MessageClass.Success);
  writer.address(Attribute.MappedAddress, path.remote);
  if (view.classic) {
    writer.address(Attribute.SourceAddress, from.advertised).address(Attribute.ChangedAddress, elsewhere.advertised);
  } else {
    // RFC 5780 §6.1: both forms of the mapped address, where the answer comes from, and the other address.
    writer.xorAddress(Attribute.XorMappedAddress, path.remote);
    writer.address(Attribute.ResponseOrigin, from.advertised).address(Attribute.OtherAddress, elsewhere.advertised);
  }
  const sealed = view.has(Attribute.Fingerprint) ? FINGERPRINT_LENGTH : 0;
  // DEVIATES RFC 5780 §6.1: padded to the request's length, not to the MTU, so that no answer outgrows its request by
  // its padding, and one length is tried in both directions.
  if (wish.padding !== undefined) {
    const room = view.length - writer.length - ATTRIBUTE_HEADER - sealed;
    writer.bytes(Attribute.Padding, new Uint8Array(Math.max(0, Math.min(room, MAX_PADDING))));
  }
  if (sealed > 0) writer.fingerprint();
  const port = wish.responsePort ?? path.remote.port;
  const back = { ...path, listener: from.listener, local: from.bound, remote: { ...path.remote, port } };
  if (sendUnproven(state, view, back)) state.stats.bindings++;
}
