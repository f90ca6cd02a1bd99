/**
 * The registrar and its location service (RFC 3261 §10.3). Whoever asks has been authenticated before. A binding holds
 * what the phone says, the Contact, and what is true, the flow on which its REGISTER came: calls take the flow.
 *
 * A phone behind a NAT is reached only while its mapping lives. On UDP it is asked for its OPTIONS every 20 to 25 s: the
 * answer is what refreshes NATs that count outbound traffic alone, and its absence tells that the phone is gone.
 */
import { detached } from "../../base/detached.ts";
import { after, type Instant, type Machine, type UnixSeconds } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import type { Ports } from "../../base/ports.ts";
import { randomBelow } from "../../base/random.ts";
import { isSameFlow, type SipFlow } from "../flow.ts";
import { createResponse } from "../message/build.ts";
import { MALFORMED } from "../message/characters.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { isSipUri, parseUri } from "../message/uri.ts";
import { isSameHost, isSameUri } from "../message/uri-comparison.ts";
import { addressOfRecord } from "./address-of-record.ts";
import type { Binding, BindingRecord } from "./binding.ts";
import { PROBE_INTERVAL, type RegistrarConfig, UNANSWERED_PROBES } from "./config.ts";
import { Entry, Location } from "./location.ts";
import { cameThrough } from "./proxied.ts";
import { type AskedContact, type Refused, readRegister } from "./register-request.ts";

/** What became of a binding. `moved`: the phone's public address, or its connection, is another than before. */
export type BindingChange = "registered" | "moved" | "removed" | "expired" | "unanswered" | "answered" | "flow-lost";

export type RegistrarOutput =
  /** To be kept beyond a restart, and not to be kept any more. */
  | { readonly kind: "store"; readonly binding: BindingRecord }
  | { readonly kind: "forget"; readonly binding: BindingRecord }
  /** An OPTIONS is to go to it now; its end is told to `handleProbe`. */
  | { readonly kind: "probe"; readonly binding: Binding }
  /** `was`: where it was before, of a phone that has moved. */
  | { readonly kind: "binding"; readonly what: BindingChange; readonly binding: Binding; readonly was?: SipFlow };

export class Registrar implements Machine<RegistrarOutput> {
  readonly #config: RegistrarConfig;
  readonly #ports: Pick<Ports, "random" | "wallClock">;
  readonly #location = new Location();
  readonly #outputs: OutputQueue<RegistrarOutput> = new OutputQueue();

  constructor(config: RegistrarConfig, ports: Pick<Ports, "random" | "wallClock">) {
    this.#config = config;
    this.#ports = ports;
  }

  get size(): number {
    return this.#location.size;
  }

  pollOutput(): RegistrarOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#location.deadlines.next;
  }

  handleTimeout(now: Instant): void {
    const { deadlines } = this.#location;
    for (let timer = deadlines.popDue(now); timer !== undefined; timer = deadlines.popDue(now)) {
      if (timer.what === "expiry") this.#end(timer.entry, "expired");
      else this.#probe(timer.entry, now);
    }
  }

  /** Those of one user, those first that the user likes best, of equals the newest. */
  bindingsOf(aor: string): readonly Binding[] {
    return [...this.#location.of(aor)].sort((a, b) => b.priority - a.priority || b.registeredAt - a.registeredAt);
  }

  bindings(): Iterable<Binding> {
    return this.#location.all();
  }

  /** Whether a phone is registered there. */
  hasFlow(flow: SipFlow): boolean {
    return this.#location.hasFlow(flow);
  }

  /** The address of record of `uri` here; undefined where it is not of our domain, or names no user. */
  addressOfRecord(uri: SipRequest["uri"]): string | undefined {
    if (!isSipUri(uri) || !isSameHost(uri.host, this.#config.domain)) return undefined;
    return addressOfRecord(uri, this.#config.domain);
  }

  /** `user`: who has proven to have sent this. */
  handleRegister(request: SipRequest, flow: SipFlow, user: string, now: Instant): SipResponse {
    const { uri } = request.to;
    // RFC 3261 §10.3: an address of record is a SIP URI.
    if (!isSipUri(uri)) return this.#refuse(request, { status: 400, reason: "To Must Be a SIP URI" });
    const aor = this.addressOfRecord(uri);
    // RFC 3261 §10.3 step 5: an address of record that is not in the domain is 404.
    if (aor === undefined) return createResponse(request, 404, { toTag: this.#tag() });
    // RFC 3261 §10.3 step 4: nobody registers for somebody else.
    if (aor !== `sip:${user}@${this.#config.domain}`) return createResponse(request, 403, { toTag: this.#tag() });
    const asked = readRegister(request, this.#config);
    if (typeof asked === "object" && "status" in asked) return this.#refuse(request, asked);
    const refused = this.#change(request, flow, aor, asked, now);
    return refused === undefined ? this.#granted(request, aor) : this.#refuse(request, refused);
  }

  /** How an OPTIONS ended that was asked for. Any answer will do: whoever answers is there. */
  handleProbe(binding: Binding, isAnswered: boolean, now: Instant): void {
    const entry = binding as Entry;
    entry.isProbing = false;
    if (!this.#location.has(entry)) return;
    entry.unanswered = isAnswered ? 0 : entry.unanswered + 1;
    if (isAnswered) entry.answeredAt = now;
    const state = entry.unanswered >= UNANSWERED_PROBES ? "unanswered" : "reachable";
    if (state === entry.state) return;
    entry.state = state;
    this.#tell(state === "reachable" ? "answered" : "unanswered", entry);
  }

  /** The phones on it are out of reach until they register again. */
  handleConnectionClosed(connection: number): void {
    for (const entry of this.#location.onConnection(connection)) {
      entry.state = "flow-lost";
      this.#tell("flow-lost", entry);
    }
  }

  /** The user is gone, or has another password: every phone of that name has to register anew. */
  handleUserRemoved(user: string): void {
    for (const entry of [...this.#location.of(`sip:${user}@${this.#config.domain}`)]) this.#end(entry, "removed");
  }

  /** After a restart: who was on UDP is asked soon whether it is still there; connections are gone. */
  restore(records: Iterable<BindingRecord>, now: Instant): void {
    for (const record of records) {
      const left = record.expiresAt - this.#ports.wallClock.now();
      if (left <= 0) {
        this.#outputs.push({ kind: "forget", binding: record });
        continue;
      }
      const entry = new Entry(record);
      this.#location.add(entry);
      this.#location.deadlines.set(entry.expiry, after(now, left * 1000));
      if (record.flow.transport !== "udp") entry.state = "flow-lost";
      else this.#location.deadlines.set(entry.probe, after(now, randomBelow(this.#ports.random, PROBE_INTERVAL.least)));
    }
  }

  #change(
    request: SipRequest,
    flow: SipFlow,
    aor: string,
    asked: "none" | "remove-all" | readonly AskedContact[],
    now: Instant,
  ): Refused | undefined {
    if (asked === "none") return undefined;
    const known = [...this.#location.of(aor)];
    const old = asked === "remove-all" ? known : asked.map((one) => known.find((entry) => isSamePhone(entry, one)));
    // RFC 3261 §10.3 step 7: a request that was overtaken changes nothing, neither this contact nor the others.
    if (old.some((entry) => entry !== undefined && isOvertaken(entry, request))) {
      return { status: 500, reason: "Overtaken by a Later Request" };
    }
    if (asked === "remove-all") {
      for (const entry of known) this.#end(entry, "removed");
      return undefined;
    }
    const replaced = new Set([...old, ...known.filter((entry) => isLeftBehind(entry, flow, asked))]);
    replaced.delete(undefined);
    const added = asked.filter(({ lifetime }) => lifetime > 0).length;
    if (known.length - replaced.size + added > this.#config.bindingsPerUser) {
      return { status: 403, reason: "Too Many Phones Registered" };
    }
    if (this.#location.size - replaced.size + added > this.#config.bindings) return { status: 503 };
    for (const entry of known) if (replaced.has(entry)) this.#location.remove(entry);
    for (const [at, one] of asked.entries()) {
      if (one.lifetime > 0) this.#bind(request, flow, aor, one, old[at], now);
      replaced.delete(one.lifetime > 0 ? old[at] : undefined);
    }
    for (const entry of replaced) this.#forget(entry as Entry, "removed");
    return undefined;
  }

  #bind(
    request: SipRequest,
    flow: SipFlow,
    aor: string,
    asked: AskedContact,
    old: Entry | undefined,
    now: Instant,
  ): void {
    const wall = this.#ports.wallClock.now();
    const userAgent = request.header("user-agent");
    const through = cameThrough(request);
    const entry = new Entry({
      aor: old?.aor ?? detached(aor),
      contact: old?.contact === asked.text ? old.contact : detached(asked.text),
      params: old?.params === asked.params ? old.params : detached(asked.params),
      priority: asked.priority,
      instance: asked.instance === undefined ? undefined : detached(asked.instance),
      callId: old?.callId === request.callId ? old.callId : detached(request.callId),
      cseq: request.cseq.number,
      path: request.list("path").map(detached),
      through: through === undefined ? undefined : detached(through).slice(0, 128),
      userAgent: userAgent === undefined ? undefined : detached(userAgent).slice(0, 128),
      flow,
      registeredAt: wall,
      expiresAt: (wall + asked.lifetime) as UnixSeconds,
    });
    entry.answeredAt = old?.answeredAt;
    this.#location.add(entry);
    this.#location.deadlines.set(entry.expiry, after(now, asked.lifetime * 1000));
    if (flow.transport === "udp") this.#probeLater(entry, now);
    if (old !== undefined && old.contact !== entry.contact) this.#outputs.push({ kind: "forget", binding: old });
    this.#outputs.push({ kind: "store", binding: entry });
    if (old === undefined) this.#tell("registered", entry);
    else if (!isSameFlow(old.flow, flow)) {
      this.#outputs.push({ kind: "binding", what: "moved", binding: entry, was: old.flow });
    }
  }

  #granted(request: SipRequest, aor: string): SipResponse {
    const wall = this.#ports.wallClock.now();
    // RFC 3261 §10.3 step 8: all bindings that there are now, each as its phone gave it.
    const headers = this.bindingsOf(aor).map(
      ({ contact, params, expiresAt }) => ["Contact", `<${contact}>${params};expires=${expiresAt - wall}`] as const,
    );
    // RFC 3327 §5.3: the Path is given back, so that the phone knows its way.
    const path = request.headers.values("path").map((value) => ["Path", value] as const);
    return createResponse(request, 200, { toTag: this.#tag(), headers: [...path, ...headers] });
  }

  #refuse(request: SipRequest, { status, reason, headers }: Refused): SipResponse {
    return createResponse(request, status, {
      toTag: this.#tag(),
      ...(reason && { reason }),
      ...(headers && { headers }),
    });
  }

  #probe(entry: Entry, now: Instant): void {
    this.#probeLater(entry, now);
    if (entry.isProbing) return;
    entry.isProbing = true;
    this.#outputs.push({ kind: "probe", binding: entry });
  }

  #probeLater(entry: Entry, now: Instant): void {
    const { least, most } = PROBE_INTERVAL;
    this.#location.deadlines.set(entry.probe, after(now, least + randomBelow(this.#ports.random, most - least)));
  }

  #end(entry: Entry, why: "removed" | "expired"): void {
    this.#location.remove(entry);
    this.#forget(entry, why);
  }

  #forget(entry: Entry, why: "removed" | "expired"): void {
    this.#outputs.push({ kind: "forget", binding: entry });
    this.#tell(why, entry);
  }

  #tell(what: BindingChange, binding: Binding): void {
    this.#outputs.push({ kind: "binding", what, binding });
  }

  #tag(): string {
    let tag = "";
    for (const byte of this.#ports.random.bytes(8)) tag += (byte + 0x100).toString(16).slice(1);
    return tag;
  }
}

/** By the instance that it names, or by its Contact as URIs are compared (RFC 3261 §10.3 step 7, §19.1.4). */
function isSamePhone(entry: Entry, asked: AskedContact): boolean {
  if (entry.instance !== undefined && asked.instance !== undefined) return entry.instance === asked.instance;
  if (entry.contact === asked.text) return true;
  const uri = parseUri(entry.contact);
  return uri !== MALFORMED && isSameUri(uri, asked.uri);
}

function isOvertaken(entry: Entry, request: SipRequest): boolean {
  return entry.callId === request.callId && entry.cseq >= request.cseq.number;
}

/** One socket is one phone: what it registered under an older Contact, before its own address changed say, is over. */
function isLeftBehind(entry: Entry, flow: SipFlow, asked: readonly AskedContact[]): boolean {
  return entry.path.length === 0 && isSameFlow(entry.flow, flow) && !asked.some((one) => isSamePhone(entry, one));
}
