/**
 * A SIP edge on a virtual clock, and phones that speak to it: each has a private address that it believes in, and the
 * public flow by which it really comes, as behind a NAT. The network between is perfect, and takes no time.
 */
import assert from "node:assert/strict";
import { type Address, formatAddress, formatIp, parseIp, sameAddress } from "../../../src/core/base/address.ts";
import { after, type Instant, type UnixSeconds } from "../../../src/core/base/machine.ts";
import { DEFAULT_EDGE_LIMITS, type EdgeConfig } from "../../../src/core/edge/config.ts";
import type { EdgeEvent, EdgeOutput, SipUserKeys } from "../../../src/core/edge/outputs.ts";
import { SipEdge } from "../../../src/core/edge/sip-edge.ts";
import { DEFAULT_RELAY_QUOTAS } from "../../../src/core/relay/config.ts";
import type { PortId } from "../../../src/core/relay/outputs.ts";
import { parseSdp, type SdpDocument } from "../../../src/core/sdp/document.ts";
import { digestHash } from "../../../src/core/sip/digest/algorithm.ts";
import { chooseChallenge, formatAuthorization } from "../../../src/core/sip/digest/answer.ts";
import { flowKey, type SipFlow, type SipTarget, type SipTransport } from "../../../src/core/sip/flow.ts";
import { createRequest, createResponse, type HeaderLine } from "../../../src/core/sip/message/build.ts";
import { MALFORMED } from "../../../src/core/sip/message/characters.ts";
import type { SipRequest, SipResponse } from "../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../src/core/sip/message/parse.ts";
import type { BindingRecord } from "../../../src/core/sip/registrar/binding.ts";
import { defaultRegistrarConfig } from "../../../src/core/sip/registrar/config.ts";
import { SeededRandom, testCrypto } from "../../support/crypto.ts";
import { voiceSdp } from "../relay/world.ts";
import { rtp } from "../rtp/packets.ts";

export const EDGE = "203.0.113.1";
export const DOMAIN = "example.org";

export function at(text: string, port: number): Address {
  return parseIp(text, port) ?? assert.fail(text);
}

export function passwordOf(user: string): string {
  return `secret of ${user}`;
}

function keysOf(user: string): SipUserKeys | undefined {
  if (!["alice", "bob", "carol", "echo"].includes(user) && !/^u\d+$/.test(user)) return undefined;
  const text = `${user}:${DOMAIN}:${passwordOf(user)}`;
  return { md5: digestHash(testCrypto, "MD5", text), sha256: digestHash(testCrypto, "SHA-256", text) };
}

const relayed = at(EDGE, 0);

/** Where and how media is relayed. */
export const RELAY: EdgeConfig["relay"] = {
  addresses: [{ bound: relayed, advertised: relayed }],
  ports: { min: 20_000, max: 20_999 },
  ownAddresses: [relayed],
  quotas: DEFAULT_RELAY_QUOTAS,
  mediaTimeout: 60_000,
  setupTimeout: 600_000,
};

export class World {
  readonly edge: SipEdge;
  readonly events: EdgeEvent[] = [];
  /** What was sent to nobody of this world. */
  readonly astray: { readonly to: string; readonly text: string }[] = [];
  /** Where new ways were asked for, in their order. */
  readonly targets: SipTarget[] = [];
  /** What nothing can be sent to: `tcp 198.18.0.5:5060`. */
  readonly unreachable: Set<string> = new Set();
  readonly ports: Map<PortId, Address> = new Map();
  readonly stored: EdgeOutput[] = [];
  readonly settled: number[] = [];
  /** What was done, in its order. */
  readonly performed: EdgeOutput["kind"][] = [];
  readonly #phones: Map<string | number, Phone> = new Map();
  readonly #config: Partial<EdgeConfig>;
  now: Instant = 1_000_000 as Instant;

  constructor(config: Partial<EdgeConfig> = {}, seed = 1) {
    this.#config = config;
    const wallClock = { now: () => (1_700_000_000 + Math.floor(this.now / 1000)) as UnixSeconds };
    const listener = (transport: SipTransport, port: number) => {
      return { transport, local: at(EDGE, port), name: `${EDGE}:${port}` };
    };
    this.edge = new SipEdge(
      {
        domain: DOMAIN,
        listeners: [listener("udp", 5060), listener("tcp", 5060), listener("tls", 5061)],
        registrar: defaultRegistrarConfig,
        digest: {
          realm: DOMAIN,
          nonceKeys: [new Uint8Array(32)],
          nonceLifetime: 300,
          algorithms: ["SHA-256", "MD5"],
          nonceCapacity: 1000,
        },
        tokenKeys: [new Uint8Array(32).fill(7)],
        relay: RELAY,
        media: "anchored",
        sites: [],
        trunks: [],
        limits: DEFAULT_EDGE_LIMITS,
        ...config,
      },
      { crypto: testCrypto, random: new SeededRandom(seed), wallClock },
    );
  }

  /** The server has ended, and another has begun with what was kept: its keys, and where its phones are. */
  restarted(config: Partial<EdgeConfig> = {}): World {
    const next = new World({ ...this.#config, ...config }, 2);
    next.now = after(this.now, 1000);
    const kept = new Map<string, BindingRecord>();
    for (const output of this.stored) {
      if (output.kind === "store") kept.set(`${output.binding.aor} ${output.binding.contact}`, output.binding);
      else if (output.kind === "forget") kept.delete(`${output.binding.aor} ${output.binding.contact}`);
    }
    const records = [...kept.values()].map((one) => ({ ...one, flow: { ...one.flow, connection: 0 } }));
    next.edge.restore(records, next.now);
    next.settle();
    return next;
  }

  /** Where phones on UDP send to. */
  get edgeAddress(): Address {
    return at(EDGE, 5060);
  }

  add(phone: Phone): void {
    this.#phones.set(flowKey(phone.flow), phone);
  }

  forget(flow: SipFlow): void {
    this.#phones.delete(flowKey(flow));
  }

  deliver(text: string, flow: SipFlow): void {
    this.edge.handleText(text, flow, this.now);
    this.settle();
  }

  settle(): void {
    for (let output = this.edge.pollOutput(); output !== undefined; output = this.edge.pollOutput()) {
      this.#perform(output);
    }
  }

  pass(ms: number): void {
    const until = after(this.now, ms);
    for (let next = this.edge.pollTimeout(); next !== undefined && next <= until; next = this.edge.pollTimeout()) {
      this.now = next;
      this.edge.handleTimeout(next);
      this.settle();
    }
    this.now = until;
  }

  /** `what` of every event so far, of calls and bindings. */
  told(type: "binding" | "call" | "trouble"): string[] {
    return this.events.flatMap((event) => (event.type === type ? [event.what] : []));
  }

  /** Sends one packet of voice to one of the edge's ports; whom it reached, and from which port. */
  packet(
    from: Address,
    to: Address,
    data: Uint8Array,
  ): { readonly remote: Address; readonly from: number } | undefined {
    const port = [...this.ports].find(([, address]) => sameAddress(address, to))?.[0];
    if (port === undefined) return undefined;
    const route = this.edge.handlePacket(data, data.length, from, port, this.now);
    this.settle();
    return route && { remote: route.remote as Address, from: this.ports.get(route.port)?.port ?? 0 };
  }

  #perform(output: EdgeOutput): void {
    this.performed.push(output.kind);
    switch (output.kind) {
      case "send": {
        const { to, text, by } = output;
        if (!("remote" in to)) this.targets.push(to);
        if (
          by !== undefined &&
          "address" in to &&
          this.unreachable.has(`${to.transport} ${formatAddress(to.address)}`)
        ) {
          this.edge.handleSendFailed(by, this.now);
          break;
        }
        const flow = "remote" in to ? to : { ...to, connection: 0, local: to.address, remote: to.address };
        const phone = this.#phones.get(flowKey(flow));
        if (phone !== undefined) phone.receive(text);
        else this.astray.push({ to: formatAddress("remote" in to ? to.remote : to.address), text });
        break;
      }
      case "lookupKeys":
        this.edge.handleKeys(output.query, keysOf(output.username), this.now);
        break;
      case "bindPort":
        this.ports.set(output.port, output.address as Address);
        this.edge.handlePortBound(output.port, this.now);
        break;
      case "releasePort":
        this.ports.delete(output.port);
        break;
      case "settle":
        this.settled.push(output.connection);
        break;
      case "event":
        this.events.push(output.event);
        break;
      default:
        this.stored.push(output);
    }
  }
}

export interface PhoneOptions {
  readonly transport?: SipTransport;
  /** Private, as the phone knows itself. */
  readonly inside?: string;
  /** Public, as others see it. */
  readonly outside: string;
  readonly port?: number;
}

let lastConnection = 0;
let lastBranch = 0;

/** A phone that does what the test says, and answers nothing by itself but probes. */
export class Phone {
  world: World;
  readonly user: string;
  readonly inside: string;
  flow: SipFlow;
  readonly requests: SipRequest[] = [];
  readonly responses: SipResponse[] = [];
  answersProbes = true;
  #cseq = 0;
  #sequence = 100;
  #invite: SipRequest | undefined;

  constructor(
    world: World,
    user: string,
    { transport = "udp", inside = "10.0.0.2", outside, port = 40_000 }: PhoneOptions,
  ) {
    this.world = world;
    this.user = user;
    this.inside = inside;
    const local = at(EDGE, transport === "tls" ? 5061 : 5060);
    this.flow = { transport, local, remote: at(outside, port), connection: transport === "udp" ? 0 : ++lastConnection };
    world.add(this);
  }

  get contact(): string {
    return `sip:${this.user}@${this.inside}:5060;ob`;
  }

  /** Its NAT gives it another public address. */
  move(outside: string, port: number): void {
    this.world.forget(this.flow);
    this.flow = { ...this.flow, remote: at(outside, port) };
    this.world.add(this);
  }

  /** Its connection is gone, and it has opened another. */
  reconnect(port: number, outside = formatIp(this.flow.remote)): void {
    this.world.forget(this.flow);
    const { connection } = this.flow;
    this.flow = { ...this.flow, remote: at(outside, port), connection: ++lastConnection };
    this.world.edge.handleConnectionClosed(connection, this.world.now);
    this.world.settle();
    this.world.add(this);
  }

  /** The server is another. */
  joins(world: World): void {
    this.world = world;
    world.add(this);
  }

  /** The INVITE that it sent last. */
  lastInvite(): SipRequest {
    return this.#invite ?? assert.fail(`${this.user} has sent no INVITE`);
  }

  send(message: SipRequest | SipResponse): void {
    if (message.kind === "request" && message.method === "INVITE") this.#invite = message;
    this.world.deliver(message.format(), this.flow);
  }

  /** What it got last. */
  get response(): SipResponse {
    return this.responses.at(-1) ?? assert.fail(`${this.user} got no response`);
  }

  request(method: string): SipRequest {
    return this.requests.findLast((one) => one.method === method) ?? assert.fail(`${this.user} got no ${method}`);
  }

  receive(text: string): void {
    const message = parseMessage(text);
    assert.ok(message.kind !== "failure", text);
    if (message.kind === "response") this.responses.push(message);
    else if (message.method === "OPTIONS" && this.answersProbes)
      this.send(createResponse(message, 200, { toTag: "p" }));
    else this.requests.push(message);
  }

  build(method: string, uri: string, more: readonly HeaderLine[] = [], body = ""): SipRequest {
    const { transport } = this.flow;
    const request = createRequest({
      method,
      uri,
      headers: [
        ["Via", `SIP/2.0/${transport.toUpperCase()} ${this.inside}:5060;branch=z9hG4bK${++lastBranch};rport`],
        ["Max-Forwards", "70"],
        ...more,
      ],
    });
    if (body !== "") request.setBody(body, "application/sdp");
    return request;
  }

  /** Sends it, and once more with the password when that is asked for. */
  ask(request: SipRequest): SipResponse {
    this.send(request);
    if (this.response.status !== 401 && this.response.status !== 407) return this.response;
    if (request.method === "INVITE") this.acknowledgeRefusal(request);
    const again = request.copy();
    again.removeTopVia();
    again.prependVia(
      `SIP/2.0/${this.flow.transport.toUpperCase()} ${this.inside}:5060;branch=z9hG4bK${++lastBranch};rport`,
    );
    again.headers.set("CSeq", `${request.cseq.number + 1} ${request.method}`);
    this.#cseq = Math.max(this.#cseq, request.cseq.number + 1);
    again.headers.set(this.response.status === 401 ? "Authorization" : "Proxy-Authorization", this.authorize(again));
    this.send(again);
    return this.response;
  }

  authorize(request: SipRequest, password = passwordOf(this.user)): string {
    const { response } = this;
    const name = response.status === 401 ? "WWW-Authenticate" : "Proxy-Authenticate";
    const account = { realm: DOMAIN, username: this.user, password };
    const challenge = chooseChallenge(
      response.credentials(name).map(({ params }) => params),
      account,
    );
    assert.ok(challenge);
    const ports = { crypto: testCrypto, random: new SeededRandom(lastBranch) };
    return formatAuthorization(ports, account, challenge, { method: request.method, uri: request.uriText, count: 1 });
  }

  acknowledgeRefusal(invite: SipRequest): void {
    const ack = invite.copy();
    ack.headers.set("To", this.response.header("to") ?? "");
    ack.headers.set("CSeq", `${invite.cseq.number} ACK`);
    ack.setBody("");
    this.world.deliver(ack.format().replace(/^INVITE/, "ACK"), this.flow);
  }

  registration(more: readonly HeaderLine[] = []): SipRequest {
    const me = `<sip:${this.user}@${DOMAIN}>`;
    return this.build("REGISTER", `sip:${DOMAIN}`, [
      ["From", `${me};tag=r`],
      ["To", me],
      ["Call-ID", `r-${this.user}-${this.inside}`],
      ["CSeq", `${++this.#cseq} REGISTER`],
      ["Contact", `<${this.contact}>`],
      ...more,
    ]);
  }

  register(more: readonly HeaderLine[] = []): SipResponse {
    return this.ask(this.registration(more));
  }

  /** Where it says that its media is: its private address. */
  sdp(more: readonly string[] = []): string {
    return voiceSdp(`${this.inside}:7000`, more);
  }

  /** A new INVITE. */
  invitation(to: string, callId = `call-${++lastBranch}`, body = this.sdp()): SipRequest {
    return this.build(
      "INVITE",
      `sip:${to}@${DOMAIN}`,
      [
        ["From", `<sip:${this.user}@${DOMAIN}>;tag=from-${this.user}`],
        ["To", `<sip:${to}@${DOMAIN}>`],
        ["Call-ID", callId],
        ["CSeq", `${++this.#cseq} INVITE`],
        ["Contact", `<${this.contact}>`],
      ],
      body,
    );
  }

  /** Answers the INVITE that it got last. */
  answer(
    status: number,
    { body = status === 200 ? this.sdp() : "", tag = `to-${this.user}-${this.inside}`, isRouteless = false } = {},
  ): void {
    const invite = this.request("INVITE");
    const recorded = isRouteless ? [] : invite.headers.values("record-route");
    const routes = recorded.map((value) => ["Record-Route", value] as const);
    const response = createResponse(invite, status, {
      toTag: tag,
      headers: [...routes, ["Contact", `<${this.contact}>`]],
    });
    if (body !== "") response.setBody(body, "application/sdp");
    this.send(response);
  }

  /** A request within the dialog of an answer, as caller; or of an INVITE, as callee. */
  within(dialog: SipRequest | SipResponse, method: string, { body = "", cseq = ++this.#cseq } = {}): SipRequest {
    const isCaller = dialog.kind === "response";
    const { contacts } = dialog;
    assert.ok(contacts !== "*" && contacts !== MALFORMED && contacts[0] !== undefined);
    const routes = dialog.headers.values("record-route");
    const me = isCaller ? dialog.header("from") : `${dialog.header("to")};tag=to-${this.user}-${this.inside}`;
    const other = isCaller ? dialog.header("to") : dialog.header("from");
    return this.build(
      method,
      contacts[0].uriText,
      [
        ...(isCaller ? routes.toReversed() : routes).map((value) => ["Route", value] as const),
        ["From", me ?? ""],
        ["To", other ?? ""],
        ["Call-ID", dialog.callId],
        ["CSeq", `${method === "ACK" ? dialog.cseq.number : cseq} ${method}`],
        ["Contact", `<${this.contact}>`],
      ],
      body,
    );
  }

  /** Where its media comes from, as others see it. */
  get mediaFrom(): Address {
    return at(this.#outside(), 17_000);
  }

  /** Sends three packets to where `description` says, so that it is learned; whom the last one reached. */
  speak(description: SdpDocument, from = this.mediaFrom): ReturnType<World["packet"]> {
    const to = mediaOf(description);
    let reached: ReturnType<World["packet"]>;
    for (let i = 0; i < 3; i++) {
      const sequence = ++this.#sequence;
      reached = this.world.packet(from, to, rtp({ ssrc: from.w3, sequence, timestamp: sequence * 160 }));
    }
    return reached;
  }

  /** One packet of voice to any of the edge's ports, from where it is: whom it reached. */
  throwAt(to: Address, sequence: number): ReturnType<World["packet"]> {
    const from = this.mediaFrom;
    return this.world.packet(from, to, rtp({ ssrc: from.w3, sequence, timestamp: sequence * 160 }));
  }

  #outside(): string {
    return formatAddress(this.flow.remote).split(":")[0] as string;
  }
}

export function sdpOf(message: SipRequest | SipResponse): SdpDocument {
  const document = parseSdp(message.body);
  assert.ok(typeof document === "object", message.body);
  return document;
}

/** Where the first stream of a description is. */
export function mediaOf(document: SdpDocument): Address {
  const text = document.format();
  const host = /c=IN IP4 (\S+)/.exec(text)?.[1] as string;
  return at(host, Number(/m=audio (\d+)/.exec(text)?.[1]));
}
