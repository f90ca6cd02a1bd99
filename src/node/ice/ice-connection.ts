/**
 * Two programs connected over the best path that the networks between them allow: ICE (RFC 8445) on real sockets. Give it
 * servers, and a way to exchange two strings.
 *
 *   await using connection = await IceConnection.open({ iceServers: [{ urls: "turn:turn.example.org", username, credential }] });
 *   connection.onData = (data) => …;
 *   tellPeer(await connection.localDescription());
 *   connection.setRemoteDescription(await fromPeer());
 *   await connection.connected();
 *   connection.send(data);
 */
import type { Address } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { IceAgent } from "../../core/ice/agent.ts";
import type { BaseId } from "../../core/ice/base.ts";
import type { Candidate } from "../../core/ice/candidate.ts";
import type { IceConfig, IceRole } from "../../core/ice/config.ts";
import type { IceCredentials } from "../../core/ice/credentials.ts";
import type { IceEvent, IceOutput, IceState, Path } from "../../core/ice/outputs.ts";
import type { Reason } from "../../core/ice/reasons.ts";
import type { IceReport } from "../../core/ice/report.ts";
import { parseIceAttribute } from "../../core/ice/sdp.ts";
import type { NamedCandidate } from "../../core/ice/sdp-candidate.ts";
import { wallClock } from "../clock.ts";
import { nodeCrypto } from "../crypto.ts";
import { LocalNames } from "../mdns/local-names.ts";
import { PooledRandom } from "../random.ts";
import { Bases } from "./bases.ts";
import {
  candidateLine,
  END_OF_CANDIDATES,
  formatDescription,
  namedCandidates,
  parseDescription,
} from "./description.ts";
import { IceDriver } from "./ice-driver.ts";
import type { IceConnectionOptions, OnIceData } from "./options.ts";
import { Outcomes } from "./outcomes.ts";
import { findStunServers, readServers } from "./servers.ts";
import { behindNames, type ShownCandidate } from "./shown-candidate.ts";

export interface DescriptionOptions {
  /** What is known so far; what is found later comes by `onCandidate`, and is told with `addRemoteCandidate`. */
  readonly trickle?: boolean;
  readonly signal?: AbortSignal;
}

export class IceConnection implements AsyncDisposable {
  /** What the peer sends. What comes before it is set is lost. */
  onData: OnIceData;
  /** Candidates one by one, and last `end-of-candidates`: for the peer's `addRemoteCandidate`. */
  onCandidate: (line: string) => void;
  /** What happens: states, paths and why they were chosen, why there is none. */
  onEvent: (event: IceEvent) => void;
  readonly #agent: IceAgent;
  readonly #driver: IceDriver;
  readonly #bases: Bases;
  readonly #outcomes = new Outcomes();
  readonly #candidates: ShownCandidate[] = [];
  readonly #names: LocalNames;
  readonly #options: IceConnectionOptions;
  #credentials: IceCredentials | undefined;
  #isGathered = false;
  #failure: Reason | undefined;
  #closing: Promise<void> | undefined;
  #broken: PosternError | undefined;

  /**
   * Opens sockets, and begins to ask servers. Rejects with `PosternError`: `bad-uri`, `bad-credentials`,
   * `transport-not-supported`, `bad-components`; or with the signal's reason.
   */
  static async open(options: IceConnectionOptions = {}): Promise<IceConnection> {
    options.signal?.throwIfAborted();
    const { stun, turn } = readServers(options.iceServers ?? []);
    const stunServers = options.policy === "relay" ? [] : await findStunServers(stun, options.signal);
    const connection = new IceConnection(options, stunServers);
    if (options.mdns === true && options.policy !== "relay") await connection.#offerNames();
    await connection.#bases.open(turn);
    return connection;
  }

  private constructor(options: IceConnectionOptions, stunServers: readonly Readonly<Address>[]) {
    this.onData = options.onData ?? (() => {});
    this.onCandidate = options.onCandidate ?? (() => {});
    this.onEvent = options.onEvent ?? (() => {});
    this.#options = options;
    this.#names = new LocalNames(options.interfaces);
    const ports = { crypto: nodeCrypto, random: new PooledRandom(), wallClock };
    this.#agent = new IceAgent(agentConfig(options, stunServers), ports);
    this.#driver = new IceDriver(this.#agent, {
      perform: (output) => this.#perform(output),
      handleFailure: (cause) => this.#break(cause),
    });
    // Not the callback of this moment, but that of then.
    const deliver: OnIceData = (data, component) => this.onData(data, component);
    this.#bases = new Bases(options, componentsOf(options), this.#driver, deliver);
  }

  get state(): IceState {
    return this.#agent.state;
  }

  get role(): IceRole {
    return this.#agent.role;
  }

  /** The selected path, as it is known now; undefined: there is none. */
  path(component: number = 1): Path | undefined {
    return this.#agent.path(0, component);
  }

  /** Candidates, checks and answers: the evidence behind a reason. */
  get report(): IceReport {
    return this.#agent.report(0) as IceReport;
  }

  /**
   * What to tell the peer, as lines of SDP: when every server has answered, or had its time; with `trickle` at once. After
   * a restart, on either side, it is another. Rejects with `PosternError` `closed`, or with the signal's reason.
   */
  localDescription({ trickle = false, signal }: DescriptionOptions = {}): Promise<string> {
    return this.#outcomes.await(() => {
      this.#refuseClosed();
      if (this.#credentials === undefined || !(trickle || this.#isGathered)) return undefined;
      return formatDescription(this.#credentials, this.#candidates, this.#isGathered, this.#options.hardNats);
    }, signal);
  }

  /**
   * What the peer's `localDescription` gave, or the SDP of any other ICE agent. Other credentials than before mean that the
   * peer restarts: answer with the new `localDescription`. Throws `PosternError` `bad-ice-description`, `closed`.
   */
  setRemoteDescription(text: string): void {
    const description = parseDescription(text);
    this.#driver.ask((agent, now) => agent.handleRemoteDescription(0, description, now));
    for (const named of namedCandidates(text)) void this.#lookUp({ ...named, ufrag: description.ufrag });
  }

  /** A line that the peer's `onCandidate` gave, or the `candidate` of a browser's. Throws `PosternError` `closed`. */
  addRemoteCandidate(line: string): void {
    const attribute = parseIceAttribute(line.trim());
    this.#driver.ask((agent, now) => {
      if (attribute?.kind === "end-of-candidates") agent.handleEndOfCandidates(0, now);
      // RFC 8839 §5.1: what is of an unknown transport or type is ignored.
      else if (attribute?.kind === "candidate")
        agent.handleRemoteCandidate(0, attribute.candidate, now, attribute.ufrag);
    });
    if (attribute?.kind === "named") void this.#lookUp(attribute);
  }

  /** The candidate is used when its address is found, and holds up nothing until then. */
  async #lookUp({ name, port, candidate, ufrag }: NamedCandidate): Promise<void> {
    // Who may not be told of this host's address gains nothing by a neighbour's.
    if (this.#options.policy === "relay") return;
    const found = await this.#names.find(name);
    this.#driver.input((agent, now) => {
      if ("why" in found) return agent.handleRemoteNameFailed(0, found.why, now, ufrag);
      agent.handleRemoteCandidate(0, { ...candidate, address: { ...found.address, port } }, now, ufrag);
    });
  }

  async #offerNames(): Promise<void> {
    const why = await this.#names.beginOffering();
    if (why !== undefined) this.#tell({ type: "names-not-offered", why });
  }

  /**
   * Resolves with the path of the first component as soon as every component has one. Rejects with `PosternError`, whose
   * code is that of the `Reason`, when there is none to be found; `closed`; or with the signal's reason.
   */
  connected({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Path> {
    return this.#outcomes.await(() => {
      this.#refuseClosed();
      if (this.state === "failed") throw failureOf(this.#failure, this.report);
      return this.state === "connected" ? this.path() : undefined;
    }, signal);
  }

  /** Sends one datagram to the peer. False when it was dropped: there is no path yet, or no room. */
  send(data: Uint8Array, component: number = 1): boolean {
    const route = this.#driver.route(component, data);
    return route !== undefined && this.#bases.lane(route.base.id)?.send(route.remoteAddress, data) === true;
  }

  /**
   * Begins anew, with other credentials: exchange descriptions again. The path in use carries until there is a new one.
   * Throws `PosternError` `closed`.
   */
  restart(): void {
    this.#refuseClosed();
    // Often it is called because the host has moved to another network.
    this.#bases.look();
    this.#driver.ask((agent, now) => agent.restart(now));
  }

  /** Closes sockets, and ends allocations on their servers. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#driver.input((agent, now) => agent.close(now));
    this.#driver.stop();
    await Promise.all([this.#bases.close(), this.#names.close()]);
  }

  #refuseClosed(): void {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.state === "closed") throw new PosternError("closed", "This connection is closed: open a new one.");
  }

  /** The agent broke an invariant of its own: this connection is over, and the process goes on. */
  #break(cause: unknown): void {
    this.#broken ??= new PosternError("broken", `The connection gave up, by a mistake of its own: ${cause}`, { cause });
    void this.close();
  }

  #perform(output: IceOutput): void {
    if (output.kind === "send") this.#bases.lane(output.base)?.send(output.to, output.data);
    else if (output.kind === "permit") void this.#permit(output.base, output.peer);
    else if (output.kind === "openSocket") void this.#bases.openLike(output.like);
    else if (output.kind === "closeSocket") this.#bases.closeSocket(output.base);
    else this.#tell(output.event);
  }

  async #permit(base: BaseId, peer: Readonly<Address>): Promise<void> {
    try {
      await this.#bases.lane(base)?.permit(peer);
      this.#driver.input((agent, now) => agent.handlePermitted(base, peer, now));
    } catch (error) {
      const why = (error as Error).message;
      this.#driver.input((agent, now) => agent.handleNotPermitted(base, peer, why, now));
    }
  }

  #tell(event: IceEvent): void {
    this.#note(event);
    // Apart, so that what the user's code throws is the user's to see.
    queueMicrotask(() => this.onEvent(event));
    this.#outcomes.lookAgain();
  }

  #note(event: IceEvent): void {
    switch (event.type) {
      case "credentials":
        this.#credentials = event.credentials;
        this.#candidates.length = 0;
        this.#isGathered = false;
        return;
      case "candidate":
        return this.#noteCandidate(event.candidate);
      case "gathered":
        this.#isGathered = true;
        return this.#tellCandidate(END_OF_CANDIDATES);
      case "selected":
        return this.#bases.lane(event.path.base)?.prefer(event.path.remote.address);
      case "failed":
        this.#failure = event.reason;
        return;
    }
  }

  #noteCandidate(candidate: Candidate): void {
    const shown = this.#options.mdns === true ? behindNames(candidate, this.#names) : candidate;
    if (shown === undefined) return;
    this.#candidates.push(shown);
    this.#tellCandidate(candidateLine(shown, this.#credentials?.ufrag ?? ""));
  }

  #tellCandidate(line: string): void {
    queueMicrotask(() => this.onCandidate(line));
  }
}

function componentsOf({ components = 1 }: IceConnectionOptions): readonly number[] {
  return Array.from({ length: components }, (_, i) => i + 1);
}

/** Throws `PosternError` `bad-components`. */
function agentConfig(options: IceConnectionOptions, stunServers: readonly Readonly<Address>[]): Partial<IceConfig> {
  const { components = 1, role, policy, relayFirst, hardNats, gatheringBudget } = options;
  if (!Number.isInteger(components) || components < 1 || components > 256) {
    throw new PosternError("bad-components", "A connection has 1 to 256 components.");
  }
  return {
    streams: [componentsOf(options)],
    stunServers,
    ...(role && { role }),
    ...(policy && { policy }),
    ...(relayFirst !== undefined && { relayFirst }),
    ...(hardNats !== undefined && { hardNats }),
    ...(gatheringBudget !== undefined && { gatheringBudget }),
  };
}

/** Whoever has named a TURN server wants to know first why it was of no use. */
function failureOf(reason: Reason | undefined, { relayFailures }: Pick<IceReport, "relayFailures">): PosternError {
  const sentences = [reason?.why, ...relayFailures, reason?.help];
  return new PosternError(reason?.code ?? "failed", sentences.filter(Boolean).join(" "));
}
