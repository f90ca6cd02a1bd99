/** One agent on a virtual clock, and a peer that is written by hand, message by message. */
import assert from "node:assert/strict";
import { type Address, blankAddress, copyAddress, formatAddress } from "../../../src/core/base/address.ts";
import { after, type Instant, type UnixSeconds } from "../../../src/core/base/machine.ts";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import { IceAgent } from "../../../src/core/ice/agent.ts";
import type { BaseId } from "../../../src/core/ice/base.ts";
import type { Candidate, CandidateType } from "../../../src/core/ice/candidate.ts";
import type { IceConfig } from "../../../src/core/ice/config.ts";
import type { IceEvent, IceOutput } from "../../../src/core/ice/outputs.ts";
import { candidatePriority } from "../../../src/core/ice/priority.ts";
import { Attribute, MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { StunView } from "../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import { SeededRandom, testCrypto } from "../../support/crypto.ts";
import { address } from "../turn/server/world.ts";

export const OWN: Address = address("192.0.2.1:1000");
export const PEER: Address = address("198.51.100.7:2000");
export const PEERS = { ufrag: "peer", password: "a password of the peer's".replace(/[^a-z]/g, "+") };

export interface Sent {
  readonly at: Instant;
  readonly base: BaseId;
  readonly to: string;
  readonly view: StunView;
}

export interface CheckOptions {
  readonly from?: Readonly<Address>;
  readonly base?: number;
  readonly username?: string;
  readonly password?: string;
  readonly useCandidate?: boolean;
  readonly priority?: number | undefined;
  readonly role?: "controlling" | "controlled";
  readonly tieBreaker?: Uint8Array;
  readonly fill?: (writer: StunWriter) => unknown;
}

export function candidate(text: string, type: CandidateType = "host", extra: Partial<Candidate> = {}): Candidate {
  const component = extra.component ?? 1;
  const priority = candidatePriority(type, 65_535, component);
  return { foundation: `${type}1`, component, priority, address: address(text), type, related: undefined, ...extra };
}

export function viewOf(data: Uint8Array): StunView {
  const view = new StunView();
  assert.equal(view.decode(data), undefined);
  return view;
}

export class Solo {
  now: Instant = 1_000 as Instant;
  readonly agent: IceAgent;
  readonly sent: Sent[] = [];
  readonly events: { readonly at: Instant; readonly event: IceEvent }[] = [];
  readonly socketOrders: Extract<IceOutput, { kind: "openSocket" | "closeSocket" }>[] = [];
  readonly permits: Extract<IceOutput, { kind: "permit" }>[] = [];
  #ids = 0;

  constructor(config: Partial<IceConfig> = {}, seed = 1) {
    const wallClock = { now: () => 0 as UnixSeconds };
    this.agent = new IceAgent(config, { crypto: testCrypto, random: new SeededRandom(seed), wallClock });
  }

  /** Gathers from one socket, and knows the peer and its candidates. */
  begin(...candidates: readonly Candidate[]): this {
    this.gather();
    this.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates }, this.now));
    return this;
  }

  gather(...addresses: readonly Readonly<Address>[]): this {
    const all = addresses.length === 0 ? [OWN] : addresses;
    const bases = all.map((one, n) => ({ base: (n + 1) as BaseId, stream: 0, component: 1, address: one }));
    this.do((agent) => agent.gather(bases, this.now));
    return this;
  }

  do(mutate: (agent: IceAgent) => void): void {
    mutate(this.agent);
    this.drain();
  }

  drain(): void {
    for (let o = this.agent.pollOutput(); o !== undefined; o = this.agent.pollOutput()) {
      if (o.kind === "event") this.events.push({ at: this.now, event: o.event });
      else if (o.kind === "permit") this.permits.push(o);
      else if (o.kind === "openSocket" || o.kind === "closeSocket") this.socketOrders.push(o);
      else this.sent.push({ at: this.now, base: o.base, to: formatAddress(o.to), view: viewOf(o.data) });
    }
  }

  run(ms: number): this {
    const end = after(this.now, ms);
    for (let next = this.agent.pollTimeout(); next !== undefined && next <= end; next = this.agent.pollTimeout()) {
      if (next > this.now) this.now = next;
      this.do((agent) => agent.handleTimeout(this.now));
    }
    this.now = end;
    return this;
  }

  deliver(data: Uint8Array, from: Readonly<Address> = PEER, base = 1): boolean {
    let isData = false;
    this.do((agent) => {
      isData = agent.handleDatagram(base as BaseId, copyAddress(from), data, this.now);
    });
    return isData;
  }

  /** A check of the peer's; returns what is answered. */
  check(options: CheckOptions = {}): Sent | undefined {
    const before = this.sent.length;
    this.deliver(this.checkBytes(options), options.from ?? PEER, options.base ?? 1);
    return this.sent.slice(before).find(({ view }) => view.class !== MessageClass.Request);
  }

  checkBytes(options: CheckOptions = {}): Uint8Array {
    const { credentials } = this.agent;
    const writer = this.begun(MessageClass.Request);
    writer.text(Attribute.Username, options.username ?? `${credentials?.ufrag}:${PEERS.ufrag}`);
    const { priority = candidatePriority("prflx", 65_535, 1) } = options;
    if (!("priority" in options) || options.priority !== undefined) writer.u32(Attribute.Priority, priority);
    if (options.useCandidate === true) writer.bytes(Attribute.UseCandidate, new Uint8Array(0));
    const role = options.role ?? (this.agent.role === "controlling" ? "controlled" : "controlling");
    const type = role === "controlling" ? Attribute.IceControlling : Attribute.IceControlled;
    writer.bytes(type, options.tieBreaker ?? new Uint8Array(8));
    options.fill?.(writer);
    return this.seal(writer, options.password ?? (credentials?.password as string));
  }

  begun(messageClass: MessageClass, id?: Uint8Array): StunWriter {
    const fresh = new Uint8Array(12);
    fresh[11] = ++this.#ids;
    return new StunWriter().begin(Method.Binding, messageClass, id ?? messageId(fresh));
  }

  seal(writer: StunWriter, password: string): Uint8Array {
    return writer
      .integritySha1(testCrypto, testCrypto.importKey(encodeUtf8(password)))
      .fingerprint()
      .finish();
  }

  get requests(): Sent[] {
    return this.sent.filter(({ view }) => view.class === MessageClass.Request);
  }

  lastRequest(to: Readonly<Address> = PEER): Sent {
    const found = this.requests.findLast((one) => one.to === formatAddress(to));
    assert.ok(found, `nothing was asked of ${formatAddress(to)}`);
    return found;
  }

  /** The peer's answer to a request. */
  answerBytes(to: Sent, mapped: Readonly<Address> = OWN, password: string = PEERS.password): Uint8Array {
    const id = to.view.data.slice(4, 20);
    return this.seal(this.begun(MessageClass.Success, id).xorAddress(Attribute.XorMappedAddress, mapped), password);
  }

  errorBytes(to: Sent, code: number): Uint8Array {
    return this.seal(this.begun(MessageClass.Error, to.view.data.slice(4, 20)).errorCode(code), PEERS.password);
  }

  /** Answers the newest request to `from`. */
  answer(from: Readonly<Address> = PEER, mapped: Readonly<Address> = OWN): void {
    this.deliver(this.answerBytes(this.lastRequest(from), mapped), from);
  }

  /** The pair to `remote`, as reported. */
  pair(remote: Readonly<Address> = PEER) {
    const pairs = this.agent.report(0)?.pairs ?? [];
    return pairs.find((one) => formatAddress(one.remote.address) === formatAddress(remote));
  }

  all<T extends IceEvent["type"]>(type: T): (Extract<IceEvent, { type: T }> & { readonly at: Instant })[] {
    return this.events.flatMap(({ at, event }) =>
      event.type === type ? [{ ...(event as Extract<IceEvent, { type: T }>), at }] : [],
    );
  }

  /** Connected on one pair, as the controlling agent. */
  connected(): this {
    this.begin(candidate(formatAddress(PEER)));
    this.answer();
    this.run(60);
    this.answer();
    assert.equal(this.agent.state, "connected");
    return this;
  }
}

export function errorCode({ view }: Sent): number {
  const value = view.bytes(Attribute.ErrorCode);
  return value === undefined ? 0 : (value[2] as number) * 100 + (value[3] as number);
}

export function mappedOf({ view }: Sent): string {
  const out = blankAddress();
  assert.ok(view.xorAddressAt(view.indexOf(Attribute.XorMappedAddress), out));
  return formatAddress(out);
}
