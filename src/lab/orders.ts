/** What an agent may be told. `id` names a socket or an allocation of the agent's. */
import type { IceServer } from "../node/ice/options.ts";

interface Orders {
  /** Opens a UDP socket; answers with its address. */
  open: { id: string; port?: number };
  /**
   * Asks a STUN server from that socket; answers with the mapped address, empty when nothing came `within` milliseconds.
   * `plain`: with what MAPPED-ADDRESS says instead of XOR-MAPPED-ADDRESS.
   */
  observe: { id: string; server: string; within?: number; plain?: boolean };
  /** From now on sends back what comes. */
  echo: { id: string };
  /** Sends a text `every` so many milliseconds, or all at once; answers when the last is on its way. */
  send: { id: string; to: string; texts: readonly string[]; every?: number };
  /** Answers with the milliseconds that each of `count` texts and its echo took; those that are lost are left out. */
  time: { id: string; to: string; count: number };
  /** Answers with all that came so far. */
  heard: { id: string };
  /** Answers with the relayed addresses and, last, the mapped one. */
  allocate: {
    id: string;
    url: string;
    username: string;
    credential: string;
    proxy?: string | undefined;
    within?: number;
  };
  bind: { id: string; peer: string };
  /** Serves HTTP CONNECT. */
  proxy: { port: number };
  /** Opens an ICE connection; answers with its description when its candidates are known. */
  iceOpen: { id: string; iceServers: readonly IceServer[]; hardNats?: boolean };
  /** Answers with the path to the peer that the description is of, or with the likely cause why there is none. */
  iceMeet: { id: string; description: string };
  /** Answers with the path in use. */
  icePath: { id: string };
  iceClose: { id: string };
}

interface Answers {
  open: string;
  observe: string;
  echo: undefined;
  send: undefined;
  time: readonly number[];
  heard: readonly Heard[];
  allocate: readonly string[];
  bind: undefined;
  proxy: undefined;
  iceOpen: string;
  iceMeet: IceOutcome;
  icePath: IceOutcome;
  iceClose: undefined;
}

export type Verb = keyof Orders;
export type Order<V extends Verb> = Readonly<Orders[V]>;
export type Answer<V extends Verb> = Answers[V];
export type Command = { [V in Verb]: { readonly do: V } & Order<V> }[Verb];

export interface IceOutcome {
  readonly kind: "direct" | "relayed" | "none";
  /** Where data comes from, as the peer sees it, and where it goes. */
  readonly from: string;
  readonly to: string;
  readonly code: string;
  /** In plain words. */
  readonly why: string;
  /** Milliseconds since both descriptions were there. */
  readonly took: number;
}

export interface Heard {
  readonly from: string;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}
