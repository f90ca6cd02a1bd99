/** An ICE implementation in the benchmark: what it is asked to do, and what it says of when it came to what. */
import type { Lab } from "../../src/lab/lab.ts";
import type { TurnLogin } from "../../src/lab/server.ts";

export type ContenderName = "postern" | "libnice" | "chromium";
export type Host = "alice" | "bob";

/** `gathering` and `gathered`; `met`: it has both descriptions; `usable`: a pair is; `nominated`: it is told to be used. */
export type Mark = "gathering" | "gathered" | "met" | "usable" | "nominated" | "restart";

/** Milliseconds since 1970, by the clock of the machine. */
export interface Moment {
  readonly mark: Mark;
  readonly at: number;
}

export interface Packet {
  readonly number: number;
  readonly sentAt: number;
  readonly heardAt: number;
}

export interface Servers {
  readonly turn: TurnLogin;
  /** The address of a STUN server besides. */
  readonly stun?: string;
}

/** One end of a session. Descriptions are whole: they go out when everything is gathered. */
export interface End {
  offer(): Promise<string>;
  /** Begins to gather with the offer known. */
  answer(offer: string): Promise<string>;
  accept(answer: string): Promise<void>;
  restart(): Promise<string>;
  /** Answers the offer of a restart. */
  follow(offer: string): Promise<string>;
  /** Sends a numbered packet every 20 ms. */
  talk(): Promise<void>;
  /** How many packets were sent until then. */
  hush(): Promise<number>;
  moments(): Promise<readonly Moment[]>;
  heard(): Promise<readonly Packet[]>;
  close(): Promise<void>;
}

/** What stays for all sessions of one network, such as a browser on each host. */
export interface Contender extends AsyncDisposable {
  readonly name: ContenderName;
  open(host: Host, servers: Servers): Promise<End>;
}

export type StartContender = (lab: Lab) => Promise<Contender>;

export const packetEveryMs = 20;

export const wallTime = (): number => performance.timeOrigin + performance.now();

/** `number sent-at`, as it stands in a packet. */
export function readPacket(text: string, heardAt: number): Packet | undefined {
  const [, number, sentAt] = /^(\d+) ([\d.]+)/.exec(text) ?? [];
  return number === undefined ? undefined : { number: Number(number), sentAt: Number(sentAt), heardAt };
}
