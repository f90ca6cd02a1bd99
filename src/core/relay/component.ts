/** One transport of one party's stream: its media, or its RTCP. What comes in here leaves by the route of the `opposite`. */
import { type Address, blankAddress } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import type { Place } from "../call/description.ts";
import type { Contenders } from "./contenders.ts";
import type { LegStream } from "./leg.ts";
import type { LocalPort } from "./local-ports.ts";
import type { MediaFlow } from "./media-flow.ts";
import { noDrops, type RelayDrops, type Route } from "./outputs.ts";

/** Where a party has proven to be. */
export interface Endpoint {
  readonly address: Readonly<Address>;
  heardAt: Instant;
  /** A new offer or another flow allows another endpoint to be learned, until this one is heard again. */
  isQuestioned: boolean;
  /** It has begun a handshake, and nothing proves yet that it is the one that the party's media comes from. */
  isProvisional: boolean;
}

export class Component {
  readonly stream: LegStream;
  readonly role: "media" | "control";
  port: LocalPort | undefined;
  /** Where the party last said it wants packets. */
  place: Place | undefined;
  /** The one IP address that packets may come from, beside the party's ranges. Its port means nothing. */
  source: Readonly<Address> | undefined;
  /** Where the party says it is, when that is to be believed: good to send to before anything was learned. */
  signaled: Readonly<Address> | undefined;
  /**
   * Ours: the party's description names a port of another call here, for its call has come back to us. Between the two
   * nothing is sent: each is the other's.
   */
  hop: Component | undefined;
  endpoint: Endpoint | undefined;
  /** With ICE: the priority with which the party has nominated it. */
  nominated: number | undefined;
  /** Those that may become the endpoint; made when they are needed. */
  contenders: Contenders | undefined;
  route: Route | undefined;
  opposite: Component | undefined;
  /** What a datapath may forward from here without asking. */
  flow: MediaFlow | undefined;
  /** Packets in a row that had nothing unusual about them; while there is a flow, those that came up all the same. */
  usual = 0;
  /** The last of them. */
  usualAt: Instant = 0 as Instant;
  /** How many times as many as at first there must be before it is left to a datapath, or taken back. */
  patience = 1;
  /** What is carried from here. */
  packets = 0;
  bytes = 0;
  readonly drops: RelayDrops = noDrops();
  /** The latest address that is not the party's, for the record; port 0 while there was none. */
  readonly stranger: Address = blankAddress();

  constructor(stream: LegStream, role: Component["role"]) {
    this.stream = stream;
    this.role = role;
  }
}

/** Makes the route anew, where there is a socket to send from and somewhere to send to. */
export function reroute(component: Component): void {
  const { port, endpoint, signaled, stream } = component;
  const remote = stream.isUnplaced ? undefined : (endpoint?.address ?? signaled);
  const isSame = component.route?.remote === remote && component.route?.port === port?.id;
  if (isSame) return;
  unsettle(component);
  component.route =
    port === undefined || remote === undefined || port.bound.family !== remote.family
      ? undefined
      : { port: port.id, remote, packets: component.route?.packets ?? 0, bytes: component.route?.bytes ?? 0 };
}

/** Something about it changes: what comes in here, and what leaves from here, is to be seen again. */
export function unsettle(component: Component): void {
  component.flow?.end();
  component.opposite?.flow?.end();
  component.usual = 0;
  component.patience = 1;
}
