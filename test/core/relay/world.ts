/** A media relay on a virtual clock, whose sockets open at once, and phones that speak to it. */
import assert from "node:assert/strict";
import { type Address, formatAddress, parseIp, sameAddress } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { type Prefix, parsePrefix } from "../../../src/core/base/prefix.ts";
import { DEFAULT_RELAY_QUOTAS, type MediaRelayConfig, type RelayQuotas } from "../../../src/core/relay/config.ts";
import type { LegParty } from "../../../src/core/relay/leg.ts";
import { MediaRelay } from "../../../src/core/relay/media-relay.ts";
import type { LegId, MediaRelayOutput, PortId, RelayEvent, Route, SessionId } from "../../../src/core/relay/outputs.ts";
import type { ComponentReport, StreamReport } from "../../../src/core/relay/report.ts";
import { parseSdp, type SdpDocument } from "../../../src/core/sdp/document.ts";
import { SeededRandom, testCrypto } from "../../support/crypto.ts";
import { described } from "../call/descriptions.ts";
import { type RtpFields, rtcp, rtp } from "../rtp/packets.ts";
import { Forwarder } from "./forwarder.ts";

export function at(text: string): Address {
  const [, bare, port] = /^\[?(.*?)\]?:(\d+)$/.exec(text) as unknown as [string, string, string];
  return parseIp(bare, Number(port)) ?? assert.fail(text);
}

export function prefix(text: string): Prefix {
  return parsePrefix(text) ?? assert.fail(text);
}

export const RELAY_4 = "203.0.113.1";
export const RELAY_6 = "2001:db8:ffff::1";

/** A voice description, `more` behind its m= line. */
export function voiceSdp(where: string, more: readonly string[] = [], formats = "0 101", profile = "RTP/AVP"): string {
  const { family, port } = at(where);
  const host = where.slice(0, where.lastIndexOf(":")).replace(/[[\]]/g, "");
  return [
    "v=0",
    `o=- 1 1 IN IP${family} ${host}`,
    "s=-",
    `c=IN IP${family} ${host}`,
    "t=0 0",
    `m=audio ${port} ${profile} ${formats}`,
    "a=rtpmap:101 telephone-event/8000",
    ...more,
    "",
  ].join("\r\n");
}

export interface WorldOptions {
  readonly config?: Partial<MediaRelayConfig>;
  readonly quotas?: Partial<RelayQuotas>;
  /** Sockets wait for `bindAll`. */
  readonly isSlow?: boolean;
  /** Media that is settled is forwarded without the relay, as soon as it may be. */
  readonly offloads?: boolean;
}

export class RelayWorld {
  /** Of worlds that do not say so themselves. */
  static offloads = false;
  readonly forwarder: Forwarder | undefined;
  now: Instant = 1_000_000 as Instant;
  readonly relay: MediaRelay;
  readonly events: RelayEvent[] = [];
  readonly results: Map<number, SdpDocument | string> = new Map();
  readonly open: Map<PortId, Readonly<Address>> = new Map();
  readonly waiting: Map<PortId, Readonly<Address>> = new Map();
  /** The relay's own packets. */
  readonly sent: Extract<MediaRelayOutput, { kind: "media" }>[] = [];
  readonly #isSlow: boolean;
  #requests = 0;

  constructor({ config, quotas, isSlow = false, offloads = RelayWorld.offloads }: WorldOptions = {}) {
    this.forwarder = offloads ? new Forwarder() : undefined;
    const place = (ip: string) => ({ bound: at(`[${ip}]:0`), advertised: at(`[${ip}]:0`) });
    this.#isSlow = isSlow;
    this.relay = new MediaRelay(
      {
        addresses: [place(RELAY_4), place(RELAY_6)],
        ports: { min: 40_000, max: 40_999 },
        ownAddresses: [at(`${RELAY_4}:0`), at(`[${RELAY_6}]:0`)],
        quotas: { ...DEFAULT_RELAY_QUOTAS, ...quotas },
        mediaTimeout: 60_000,
        setupTimeout: 600_000,
        ...(offloads && { settledAfter: 1 }),
        ...config,
      },
      { random: new SeededRandom(1), crypto: testCrypto },
    );
  }

  drain(): void {
    for (let out = this.relay.pollOutput(); out !== undefined; out = this.relay.pollOutput()) this.#handle(out);
    this.forwarder?.verify(this.relay.reports(), this.open);
  }

  #handle(out: MediaRelayOutput): void {
    switch (out.kind) {
      case "bindPort": {
        assert.ok(!this.open.has(out.port) && !this.waiting.has(out.port), "a number names one socket");
        const isTaken = [...this.open.values()].some((one) => sameAddress(one, out.address));
        assert.ok(!isTaken, "nobody binds twice");
        this.waiting.set(out.port, out.address);
        if (!this.#isSlow) this.bind(out.port);
        return;
      }
      case "releasePort":
        assert.ok(this.open.delete(out.port), "what is released was open");
        return;
      case "described":
        return void this.results.set(out.request, out.document);
      case "undescribed":
        return void this.results.set(out.request, out.why);
      case "event":
        return void this.events.push(out.event);
      case "media":
        return void this.sent.push(out);
      case "offload":
        return this.forwarder?.offload(out.flow);
      case "withdraw":
        return this.forwarder?.withdraw(out.flow);
    }
  }

  bind(port: PortId): void {
    this.open.set(port, this.waiting.get(port) ?? assert.fail());
    this.waiting.delete(port);
    this.relay.handlePortBound(port, this.now);
  }

  bindAll(): void {
    while (this.waiting.size > 0) {
      for (const port of [...this.waiting.keys()]) this.bind(port);
      this.drain();
    }
  }

  failAll(why: "busy" | "exhausted" | "gone"): void {
    for (const port of [...this.waiting.keys()]) {
      this.waiting.delete(port);
      this.relay.handlePortFailed(port, why);
    }
    this.drain();
  }

  /** Virtual milliseconds pass. */
  pass(ms: number): void {
    const until = (this.now + ms) as Instant;
    this.forwarder?.tell();
    for (let next = this.relay.pollTimeout(); next !== undefined && next <= until; next = this.relay.pollTimeout()) {
      this.now = next;
      this.forwarder?.tell();
      this.relay.handleTimeout(next);
      this.drain();
      assert.ok((this.relay.pollTimeout() ?? Infinity) > next, "time goes on");
    }
    this.now = until;
    this.forwarder?.tell();
  }

  openSession(owner = "alice"): SessionId {
    const session = this.relay.openSession(owner, this.now);
    assert.ok(typeof session === "number", String(session));
    return session;
  }

  /** `proven`: where its signaling comes from; "" for a trunk that has but ranges. */
  addLeg(session: SessionId, proven: string, fields: Partial<LegParty> = {}): LegId {
    const from = proven === "" ? undefined : at(`[${proven}]:5060`);
    const leg = this.relay.addLeg(session, {
      local: at(from?.family === 6 ? `[${RELAY_6}]:5060` : `${RELAY_4}:5060`),
      proven: from,
      ranges: [],
      ...fields,
    });
    assert.ok(typeof leg === "number", String(leg));
    return leg;
  }

  /** The description that is forwarded, or why it is not; undefined: not yet. */
  describe(
    role: "offer" | "answer",
    from: LegId,
    to: LegId,
    text: string,
    offersIce = false,
  ): () => SdpDocument | string | undefined {
    const document = parseSdp(text);
    assert.ok(typeof document !== "string", String(document));
    const request = ++this.#requests;
    this.relay.describe({ request, from, to, role, document, offersIce }, this.now);
    this.drain();
    assert.equal(document.format(), text, "what is handed in stays");
    return () => this.results.get(request);
  }

  forwarded(role: "offer" | "answer", from: LegId, to: LegId, text: string, offersIce = false): string {
    const result = this.describe(role, from, to, text, offersIce)();
    assert.ok(result !== undefined && typeof result !== "string", String(result));
    return result.format();
  }

  portAt(address: Readonly<Address>): PortId | undefined {
    for (const [port, bound] of this.open) if (sameAddress(bound, address)) return port;
    return undefined;
  }

  /** A datagram; where it goes, or undefined. */
  arrive(data: Uint8Array, from: Readonly<Address>, to: Readonly<Address>): Route | undefined {
    const port = this.portAt(to);
    if (port === undefined) return undefined;
    const forwarded = this.forwarder?.forward(data, from, port, this.now);
    if (forwarded !== undefined) return forwarded;
    const route = this.relay.handlePacket(data, data.length, from, port, this.now);
    this.drain();
    if (route !== undefined) assert.ok(this.open.has(route.port), "what is sent leaves by an open socket");
    return route;
  }
}

/** One party: it sends from `from`, to where the relay told it to. */
export class Phone {
  readonly world: RelayWorld;
  readonly leg: LegId;
  from: Address;
  ssrc: number;
  sequence: number;
  /** The relay's address for its media, from the description that it got. */
  target: Address = at("0.0.0.0:0");

  constructor(world: RelayWorld, leg: LegId, from: string, ssrc: number) {
    this.world = world;
    this.leg = leg;
    this.from = at(from);
    this.ssrc = ssrc;
    this.sequence = 60_000 + (ssrc % 1000);
  }

  hears(text: string, stream = 0): this {
    this.target = described(text).streams[stream]?.media?.address ?? assert.fail("no address");
    return this;
  }

  /** The next packet; where the relay sends it. */
  speak(fields: RtpFields = {}): string | undefined {
    this.sequence = (this.sequence + 1) & 0xffff;
    const data = rtp({ sequence: this.sequence, ssrc: this.ssrc, timestamp: this.sequence * 160, ...fields });
    return this.#sent(data, this.target);
  }

  /** So many packets, 20 ms apart; where each went. */
  talk(packets: number, fields: RtpFields = {}): (string | undefined)[] {
    return Array.from({ length: packets }, () => {
      this.world.pass(20);
      return this.speak(fields);
    });
  }

  report(
    ssrc: number = this.ssrc,
    from: Readonly<Address> = { ...this.from, port: this.from.port + 1 },
  ): string | undefined {
    return this.#sent(rtcp(ssrc), { ...this.target, port: this.target.port + 1 }, from);
  }

  #sent(data: Uint8Array, to: Readonly<Address>, from: Readonly<Address> = this.from): string | undefined {
    const route = this.world.arrive(data, from, to);
    return route === undefined ? undefined : formatAddress(route.remote);
  }

  stream(index = 0): StreamReport {
    this.world.forwarder?.tell();
    for (const { legs } of this.world.relay.reports()) {
      for (const { leg, streams } of legs) if (leg === this.leg) return streams[index] ?? assert.fail();
    }
    return assert.fail("the leg has ended");
  }

  get media(): ComponentReport {
    return this.stream().media;
  }

  /** Where its media is sent. */
  get place(): string | undefined {
    return this.media.remote === undefined ? undefined : formatAddress(this.media.remote);
  }
}

export interface PhoneOptions {
  /** In its description. */
  readonly says: string;
  /** Where its signaling comes from; its media comes from there too, from the port of `from`. */
  readonly proven: string;
  readonly from?: string;
  readonly more?: readonly string[];
  readonly profile?: string;
  readonly party?: Partial<LegParty>;
}

export interface Call {
  readonly session: SessionId;
  readonly caller: Phone;
  readonly callee: Phone;
}

/** Behind a NAT: private in its description, from any port of its public address. */
export const NATED: PhoneOptions = { says: "192.168.1.5:4000", proven: "198.51.100.7", from: "198.51.100.7:61000" };
/** On the Internet: it is where it says. */
export const PUBLIC: PhoneOptions = { says: "198.51.100.80:5000", proven: "198.51.100.80" };

/** Offer and answer, and nothing said yet. */
export function setUp(world: RelayWorld, one: PhoneOptions = NATED, other: PhoneOptions = PUBLIC): Call {
  const session = world.openSession();
  const [a, b] = [one, other].map(({ proven, party }) => world.addLeg(session, proven, party)) as [LegId, LegId];
  const offered = world.forwarded("offer", a, b, voiceSdp(one.says, one.more, undefined, one.profile));
  const answered = world.forwarded("answer", b, a, voiceSdp(other.says, other.more, undefined, other.profile));
  world.relay.confirm(a, b, world.now);
  const caller = new Phone(world, a, one.from ?? one.says, 1001).hears(answered);
  const callee = new Phone(world, b, other.from ?? other.says, 2002).hears(offered);
  return { session, caller, callee };
}
