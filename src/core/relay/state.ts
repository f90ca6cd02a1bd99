/** What all procedures of the media relay share. */
import { Deadlines } from "../base/deadlines.ts";
import { OutputQueue } from "../base/output-queue.ts";
import type { Crypto, Ports, Random } from "../base/ports.ts";
import { RelayPlaces } from "../base/relay-places.ts";
import { StunView } from "../stun/view.ts";
import { StunWriter } from "../stun/writer.ts";
import type { MediaRelayConfig } from "./config.ts";
import type { Leg, Session } from "./leg.ts";
import { LocalPorts } from "./local-ports.ts";
import {
  type LegId,
  type MediaRelayOutput,
  noDrops,
  type RelayDrops,
  type RelayEvent,
  type SessionId,
} from "./outputs.ts";

/** Plain numbers, read when somebody scrapes. All but `sessions` and `ports` only grow. */
export interface MediaRelayStats {
  sessions: number;
  ports: number;
  sessionsTotal: number;
  packets: number;
  bytes: number;
  drops: RelayDrops;
}

export class RelayState {
  readonly config: MediaRelayConfig;
  readonly random: Random;
  readonly crypto: Crypto;
  /** Of the check that is being handled. */
  readonly view: StunView = new StunView();
  readonly writer: StunWriter = new StunWriter();
  readonly places: RelayPlaces;
  ownAddresses: MediaRelayConfig["ownAddresses"];
  readonly outputs: OutputQueue<MediaRelayOutput> = new OutputQueue();
  readonly deadlines: Deadlines<Session> = new Deadlines();
  readonly ports: LocalPorts = new LocalPorts();
  readonly sessions: Map<SessionId, Session> = new Map();
  readonly legs: Map<LegId, Leg> = new Map();
  readonly owners: Map<string, number> = new Map();
  readonly stats: MediaRelayStats = {
    sessions: 0,
    ports: 0,
    sessionsTotal: 0,
    packets: 0,
    bytes: 0,
    drops: noDrops(),
  };
  #last = 0;

  constructor(config: MediaRelayConfig, { random, crypto }: Pick<Ports, "random" | "crypto">) {
    this.config = config;
    this.random = random;
    this.crypto = crypto;
    this.ownAddresses = config.ownAddresses;
    this.places = new RelayPlaces(config.addresses, config.ports);
  }

  /** A number that no session and no leg has had. */
  nextId(): number {
    return ++this.#last;
  }

  tell(event: RelayEvent): void {
    this.outputs.push({ kind: "event", event });
  }
}
