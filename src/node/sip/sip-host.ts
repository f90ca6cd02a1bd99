/**
 * Gives one SIP edge its sockets, its timer and its clock. Messages come by `SipSockets`, media by a datapath; each becomes
 * one input of the machine, and the driver carries out what it asks for.
 */
import type { Address } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { CallReport } from "../../core/edge/call.ts";
import type { EdgeConfig, EdgePlaces } from "../../core/edge/config.ts";
import type { EdgeEvent, EdgeOutput, SipKeyQuery, SipUserKeys } from "../../core/edge/outputs.ts";
import type { RefusalReport } from "../../core/edge/refusals.ts";
import { SipEdge } from "../../core/edge/sip-edge.ts";
import type { EdgeStats } from "../../core/edge/state.ts";
import type { MediaRelayStats } from "../../core/relay/state.ts";
import type { SipFlow } from "../../core/sip/flow.ts";
import type { Binding, BindingRecord } from "../../core/sip/registrar/binding.ts";
import { monotonicNow, wallClock } from "../clock.ts";
import { nodeCrypto } from "../crypto.ts";
import type { Datapath, DatapathStats } from "../datapath/datapath.ts";
import type { OffloadStats } from "../datapath/ebpf/offload-stats.ts";
import { Emptying } from "../emptying.ts";
import { FailureLog } from "../failure-log.ts";
import { KeyLookups } from "../key-lookups.ts";
import { type Log, silentLog } from "../log.ts";
import type { ListenSpec } from "../net/listen-spec.ts";
import type { TlsIdentity } from "../net/tls-identity.ts";
import { PooledRandom } from "../random.ts";
import type { SipStreamLimits } from "./limits.ts";
import { MediaSockets } from "./media-sockets.ts";
import { PhoneConnections } from "./phone-connections.ts";
import { SipDriver } from "./sip-driver.ts";
import { SipSockets } from "./sip-sockets.ts";
import type { SipSocketStats } from "./stats.ts";
import { type LookupPace, TrunkNames } from "./trunk-names.ts";

/** Where phones are remembered beyond the end of the process. */
export interface SipLocation {
  store(binding: BindingRecord): void;
  forget(binding: BindingRecord): void;
}

export interface SipHostOptions {
  readonly config: EdgeConfig;
  /** For media; the host's from now on: `close` closes it. */
  readonly datapath: Datapath;
  /** For messages by UDP, likewise; Node's own when not given. */
  readonly messages?: Datapath;
  /**
   * Looks a user up, by name as a binary string; undefined when there is none. `signal` fires after five seconds and on
   * close: the answer is not waited for any longer, and the user counts as unknown. A rejection is logged and counts the
   * same.
   */
  readonly keys: (username: string, signal: AbortSignal) => Promise<SipUserKeys | undefined> | SipUserKeys | undefined;
  readonly location?: SipLocation;
  readonly onEvent?: (event: EdgeEvent) => void;
  readonly log?: Log;
  /** What is not given is as in `defaultSipStreamLimits`. */
  readonly streams?: Partial<SipStreamLimits>;
  /** Certificates, in PEM, of the authorities that vouch for trunks; the system's and Node's when not given. */
  readonly authorities?: readonly string[];
  /** Who is asked for the names of trunks, as `192.0.2.1:53`, instead of the system's servers, and how often. */
  readonly nameServers?: readonly string[];
  readonly lookupPace?: LookupPace;
}

export interface SipHostStats {
  readonly edge: Readonly<EdgeStats>;
  readonly media: Readonly<MediaRelayStats>;
  readonly sockets: Readonly<SipSocketStats>;
  /** Of media. */
  readonly datapath: Readonly<DatapathStats>;
  /** Undefined where the kernel forwards nothing of it by itself. */
  readonly offloaded: Readonly<OffloadStats> | undefined;
}

export class SipHost implements AsyncDisposable {
  readonly stats: SipHostStats;
  readonly #machine: SipEdge;
  readonly #datapath: Datapath;
  readonly #location: SipLocation | undefined;
  readonly #onEvent: (event: EdgeEvent) => void;
  readonly #findKeys: SipHostOptions["keys"];
  readonly #sockets: SipSockets;
  readonly #driver: SipDriver;
  readonly #media: MediaSockets;
  readonly #lookups: KeyLookups<SipKeyQuery, SipUserKeys>;
  readonly #trunkNames: TrunkNames;
  readonly #phones: PhoneConnections = new PhoneConnections();
  readonly #emptying: Emptying = new Emptying(() => this.callCount === 0);
  #closing: Promise<void> | undefined;

  /** Opens nothing yet: `listen` does, once for each of the listeners of `config`. */
  constructor(options: SipHostOptions) {
    const { config, datapath, keys, location, onEvent, log = silentLog, streams = {} } = options;
    this.#datapath = datapath;
    this.#findKeys = keys;
    this.#location = location;
    this.#onEvent = onEvent ?? (() => {});
    this.#machine = new SipEdge(config, { crypto: nodeCrypto, random: new PooledRandom(), wallClock });
    const failures = new FailureLog(log, "sip-edge-failed");
    this.#driver = new SipDriver(this.#machine, {
      perform: (output) => this.#perform(output),
      // The machine broke one of its own invariants; what it was handed is lost, and the rest goes on.
      handleFailure: (error) => failures.report(error),
    });
    this.#sockets = new SipSockets({
      limits: streams,
      ...(options.messages && { datapath: options.messages }),
      ...(options.authorities && { authorities: options.authorities }),
      sink: {
        handleMessage: (text, flow) => this.#handleMessage(text, flow),
        handleConnectionClosed: (connection) =>
          this.#driver.input((edge, now) => edge.handleConnectionClosed(connection, now)),
      },
    });
    this.#media = new MediaSockets(datapath, this.#driver);
    this.#lookups = new KeyLookups(
      (query, found) => this.#driver.input((edge, now) => edge.handleKeys(query, found, now)),
      log,
    );
    this.#trunkNames = new TrunkNames({
      trunks: config.trunks,
      onResolved: (name, endpoints) => this.#driver.input((machine) => machine.handleTrunkResolved(name, endpoints)),
      log,
      ...(options.nameServers && { servers: options.nameServers }),
      ...(options.lookupPace && { pace: options.lookupPace }),
    });
    const { stats: edge, mediaStats: media } = this.#machine;
    const { stats: moved, offloaded } = datapath;
    this.stats = { edge, media, sockets: this.#sockets.stats, datapath: moved, offloaded };
  }

  /** Phones that were registered before a restart. */
  restore(records: Iterable<BindingRecord>): void {
    this.#driver.input((edge, now) => edge.restore(records, now));
  }

  /** Opens a listener, and resolves with the address that was bound. Rejects as `SipSockets.listen` does. */
  listen(spec: ListenSpec): Promise<Readonly<Address>> {
    if (this.#closing !== undefined) return Promise.reject(hostClosed());
    return this.#sockets.listen(spec);
  }

  /** New handshakes use this certificate. Throws `PosternError` `bad-tls-identity`, and then everything stays as it is. */
  updateTls(identity: TlsIdentity): void {
    this.#sockets.updateTls(identity);
  }

  /** The host's addresses have changed; further listeners are the caller's to open. */
  setPlaces(places: EdgePlaces): void {
    this.#driver.input((edge) => edge.handlePlaces(places));
  }

  /** The user has a new password: that user's phones have to register anew. */
  changePassword(user: string): void {
    this.#driver.input((edge, now) => edge.handlePasswordChanged(user, now));
  }

  /** There is no such user any more: neither phones nor calls. */
  removeUser(user: string): void {
    this.#driver.input((edge, now) => edge.handleUserRemoved(user, now));
  }

  /**
   * Refuses new calls from now on. Resolves with the number of calls left: 0 as soon as there is none, or what is there
   * when `deadlineMs` have passed. Rejects with the signal's reason.
   */
  async drain(deadlineMs: number, signal?: AbortSignal): Promise<number> {
    this.#driver.input((edge) => edge.handleDrain());
    await this.#emptying.wait(deadlineMs, signal);
    return this.callCount;
  }

  /** Every phone that is registered. */
  bindings(): Iterable<Binding> {
    return this.#machine.bindings();
  }

  get callCount(): number {
    return this.#machine.callCount;
  }

  /** Every call that there is. */
  calls(): CallReport[] {
    return this.#machine.calls();
  }

  /** Calls that are over, of the last hour, 200 at most; the latest last. */
  endedCalls(): CallReport[] {
    return this.#machine.endedCalls(monotonicNow());
  }

  /** Who was refused in the last hour, the latest first. */
  refusals(): RefusalReport[] {
    return this.#machine.refusals(monotonicNow());
  }

  /** Ends every call, closes every socket; resolves when the operating system has them back. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#lookups.close();
    this.#trunkNames.close();
    // Connections that end because we end are no news of phones.
    this.#driver.stop();
    await Promise.all([this.#sockets.close(), this.#datapath.close()]);
  }

  #handleMessage(text: string, flow: SipFlow): void {
    this.#driver.input((edge, now) => edge.handleText(text, flow, now));
  }

  #perform(output: EdgeOutput): void {
    switch (output.kind) {
      case "send":
        return this.#send(output);
      case "bindPort":
        return this.#media.open(output.port, output.address);
      case "releasePort":
        return this.#media.close(output.port);
      case "offload":
        return this.#media.offload(output.flow);
      case "withdraw":
        return this.#media.withdraw(output.flow);
      case "lookupKeys":
        return this.#lookups.start(output.query, (signal) => this.#findKeys(output.username, signal));
      case "settle":
        return this.#sockets.settle(output.connection);
      case "store":
        this.#unsettle(this.#phones.add(output.binding));
        return this.#location?.store(output.binding);
      case "forget":
        this.#unsettle(this.#phones.remove(output.binding));
        return this.#location?.forget(output.binding);
      case "event":
        return this.#report(output.event);
      case "media":
        return this.#media.send(output.route.port, output.data, output.length, output.route.remote);
    }
  }

  #unsettle(connection: number | undefined): void {
    if (connection !== undefined) this.#sockets.settle(connection, false);
  }

  #report(event: EdgeEvent): void {
    if (event.type === "call" && event.what === "ended") this.#emptying.look();
    this.#onEvent(event);
  }

  #send({ to, text, by }: Extract<EdgeOutput, { kind: "send" }>): void {
    if (by === undefined) this.#sockets.send(to, text);
    else {
      const handleFailed = (): void => this.#driver.input((edge, now) => edge.handleSendFailed(by, now));
      this.#sockets.send(to, text, handleFailed);
    }
  }
}

function hostClosed(): PosternError {
  return new PosternError("closed", "This host is closed: make a new one.");
}
