/** The parts of the edge, and what passes between them. */
import type { Instant } from "../base/machine.ts";
import { OutputQueue } from "../base/output-queue.ts";
import type { Ports } from "../base/ports.ts";
import { MediaRelay } from "../relay/media-relay.ts";
import type { SipFlow } from "../sip/flow.ts";
import type { SipRequest } from "../sip/message/message.ts";
import type { OpenedToken } from "../sip/proxy/flow-token.ts";
import type { Fork } from "../sip/proxy/fork.ts";
import { SipProxy } from "../sip/proxy/sip-proxy.ts";
import type { Binding } from "../sip/registrar/binding.ts";
import { Registrar } from "../sip/registrar/registrar.ts";
import { Transactions } from "../sip/transaction/transactions.ts";
import type { Call, CallSide } from "./call.ts";
import { Calls } from "./calls.ts";
import type { EdgeConfig } from "./config.ts";
import { DialogRouting } from "./dialog-routing.ts";
import { Gatekeeper, type Identity } from "./gatekeeper.ts";
import { MediaPath } from "./media-path.ts";
import { OwnNames } from "./names.ts";
import type { EdgeOutput, EdgeRefusal } from "./outputs.ts";
import { Quotas } from "./quotas.ts";
import { Refusals } from "./refusals.ts";
import { Routing } from "./routing.ts";
import { Services } from "./services/services.ts";
import { Trunks } from "./trunks.ts";

/** What is known of a request within a dialog; where its call is not known, the sides as its token tells them. */
export interface DialogContext {
  readonly token: OpenedToken;
  readonly call: Call | undefined;
  readonly from: CallSide;
  readonly to: CallSide;
  /** Its sender has left out what Record-Route told it, so that this is of a call that is known. */
  readonly isRouteless?: boolean;
  /** It is this request that has made the call known again. */
  readonly makesKnown?: boolean;
}

/** A request that was let in. */
export interface Arrival {
  /** As it came: answers may go to another port. */
  readonly flow: SipFlow;
  /** Undefined where the dialog's token was enough. */
  readonly identity: Identity | undefined;
  readonly dialog: DialogContext | undefined;
}

/** Whose a client transaction is, besides the proxy's. */
export interface Probe {
  readonly kind: "probe";
  readonly binding: Binding;
}

/** Whose a fork is. */
export type ForkOwner =
  | { readonly kind: "call"; readonly call: Call }
  | {
      readonly kind: "dialog";
      readonly dialog: DialogContext;
      readonly method: string;
      readonly hasOffer: boolean;
      readonly cameAt: Instant;
    }
  | { readonly kind: "plain" }
  /** A call that goes past us, and is over for us: nothing in its messages is changed. */
  | { readonly kind: "untouched" };

/** What a fork bears. Of a call that is over it bears the call no more: a 2xx that comes again goes on as it is. */
export interface Owned {
  by: ForkOwner;
}

export function ownerOf({ owner }: Fork): ForkOwner {
  return (owner as Owned).by;
}

/** Plain numbers that only grow, read when somebody scrapes. */
export interface EdgeStats {
  requests: number;
  responses: number;
  /** Responses to nothing that is known. */
  strayResponses: number;
  readonly refused: Record<EdgeRefusal, number>;
}

export class EdgeState {
  readonly config: EdgeConfig;
  readonly ports: Ports;
  readonly outputs: OutputQueue<EdgeOutput> = new OutputQueue();
  /** Done before all others: media is taken back before anybody is told of what ends it. */
  readonly withdrawals: OutputQueue<EdgeOutput> = new OutputQueue();
  readonly transactions: Transactions;
  readonly registrar: Registrar;
  readonly proxy: SipProxy;
  readonly relay: MediaRelay;
  readonly calls: Calls;
  readonly media: MediaPath;
  readonly names: OwnNames;
  readonly trunks: Trunks;
  readonly routing: Routing;
  readonly dialogs: DialogRouting;
  readonly gatekeeper: Gatekeeper;
  readonly services: Services;
  readonly quotas: Quotas;
  readonly refusals: Refusals = new Refusals();
  /** Requests on their way from the gatekeeper through their transaction. */
  readonly arrivals: Map<SipRequest, Arrival> = new Map();
  /** Of those whose sender's password is looked up, the dialog that they claim to be of. */
  readonly claimed: Map<SipRequest, DialogContext> = new Map();
  /** Connections that somebody has spoken on, and that are open. */
  readonly connections: Set<number> = new Set();
  isDraining = false;
  readonly stats: EdgeStats = {
    requests: 0,
    responses: 0,
    strayResponses: 0,
    refused: {
      malformed: 0,
      stranger: 0,
      scanner: 0,
      "wrong-password": 0,
      banned: 0,
      foreign: 0,
      "over-budget": 0,
      "trunk-budget": 0,
      busy: 0,
      calls: 0,
      "user-calls": 0,
      "source-calls": 0,
      "connection-calls": 0,
      "trunk-calls": 0,
      "user-transactions": 0,
      "source-transactions": 0,
      "connection-transactions": 0,
      "trunk-transactions": 0,
    },
  };

  constructor(config: EdgeConfig, ports: Ports) {
    this.names = new OwnNames(config);
    this.trunks = new Trunks(config.trunks, this.names);
    this.config = { ...config, trunks: this.trunks.all };
    this.ports = ports;
    this.transactions = new Transactions(ports);
    this.registrar = new Registrar({ ...config.registrar, domain: config.domain }, ports);
    this.proxy = new SipProxy(this.transactions, { ...ports, loopKey: ports.random.bytes(16) });
    this.relay = new MediaRelay(config.relay, ports);
    this.quotas = new Quotas(config.limits);
    this.calls = new Calls(this.relay, this.outputs, this.quotas);
    this.media = new MediaPath(this.relay, this.calls, config.sites);
    this.routing = new Routing(this.config, this.names, this.registrar, this.trunks);
    this.dialogs = new DialogRouting(this.names, ports.crypto, config.tokenKeys);
    this.gatekeeper = new Gatekeeper(this.config, ports);
    const { transactions, relay, calls, names } = this;
    this.services = new Services({ transactions, relay, calls, names, ports });
  }
}

/** The earlier of two that may both be missing. */
export function earlier(a: Instant | undefined, b: Instant | undefined): Instant | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}
