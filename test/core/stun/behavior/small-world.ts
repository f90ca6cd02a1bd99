/**
 * A client behind small NATs, and servers, on a virtual clock. Servers are Postern's own machine, unless a test puts a
 * liar in its place.
 */
import assert from "node:assert/strict";
import { type Address, formatAddress } from "../../../../src/core/base/address.ts";
import { after, type Instant, type UnixSeconds } from "../../../../src/core/base/machine.ts";
import type { DiscoveryTests } from "../../../../src/core/stun/behavior/discover.ts";
import { NatDiscovery } from "../../../../src/core/stun/behavior/nat-discovery.ts";
import type { NatDiscoveryOutput } from "../../../../src/core/stun/behavior/output.ts";
import type { BehaviorReport, Finding } from "../../../../src/core/stun/behavior/report.ts";
import type { DiscoverySocket } from "../../../../src/core/turn/server/discovery-sites.ts";
import { TurnServer } from "../../../../src/core/turn/server/turn-server.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";
import { CONFIG } from "../../../support/turn-world.ts";
import { at, type SmallNat } from "./small-nat.ts";

export interface Reply {
  readonly from: Readonly<Address>;
  readonly to: Readonly<Address>;
  readonly data: Uint8Array;
}

/** What a server at some of the addresses answers; `to` is where it was asked. */
export interface Service {
  readonly addresses: readonly Readonly<Address>[];
  answer(data: Uint8Array, from: Readonly<Address>, to: Readonly<Address>, now: Instant): readonly Reply[];
}

/** Postern's server. With two IP addresses it discovers. */
export class PosternService implements Service {
  readonly addresses: readonly Readonly<Address>[];
  readonly #server: TurnServer;

  constructor(ips: readonly string[], ports: readonly number[] = [3478, 3479]) {
    const random = new SeededRandom(7);
    const wallClock = { now: () => 1_800_000_000 as UnixSeconds };
    this.#server = new TurnServer(CONFIG, { crypto: testCrypto, random, wallClock });
    this.addresses = ips.flatMap((ip) => ports.map((port) => at(ip, port)));
    const corner = (i: number): DiscoverySocket => {
      return { listener: i, bound: this.addresses[i]!, advertised: this.addresses[i]! };
    };
    if (this.addresses.length === 4) {
      const square = [
        [corner(0), corner(1)],
        [corner(2), corner(3)],
      ] as const;
      this.#server.handleDiscoverySquares([square], 0 as Instant);
    }
  }

  answer(data: Uint8Array, remote: Readonly<Address>, local: Readonly<Address>, now: Instant): readonly Reply[] {
    const listener = this.addresses.findIndex((one) => formatAddress(one) === formatAddress(local));
    this.#server.handleClientDatagram(
      data,
      data.length,
      { transport: "udp", listener, local, remote, connection: 0 },
      now,
    );
    const replies: Reply[] = [];
    for (let output = this.#server.pollOutput(); output !== undefined; output = this.#server.pollOutput()) {
      if (output.kind !== "send") continue;
      replies.push({ from: this.addresses[output.to.listener]!, to: output.to.remote, data: output.data });
    }
    return replies;
  }
}

export interface WorldOptions {
  readonly nat?: SmallNat;
  /** In place of `nat`: every hop from the client on; `router`: it only forwards. */
  readonly hops?: readonly (SmallNat | "router")[];
  /** Routers take no notice of hop limits. */
  readonly ignoresHopLimit?: boolean;
  /** What the gateway says when it is asked; else nobody answers. */
  readonly gateway?: Finding<Readonly<Address>>;
  readonly services: readonly Service[];
  readonly local?: string;
  /** Each packet is lost once in so many times; 0: never. */
  readonly lossOneIn?: number;
  /** Changes or drops what the client receives. */
  readonly meddle?: (data: Uint8Array, from: Readonly<Address>) => Uint8Array | undefined;
  /** Drops what the client sends. */
  readonly blocks?: (data: Uint8Array, to: Readonly<Address>) => boolean;
  readonly tests?: Partial<DiscoveryTests>;
  readonly seed?: number;
}

const DELAY = 20;

export class SmallWorld {
  readonly #options: WorldOptions;
  readonly #random: SeededRandom;
  readonly #machine: NatDiscovery;
  readonly #events: { readonly when: number; readonly run: () => void }[] = [];
  readonly #sockets = new Map<
    number,
    { readonly local: Readonly<Address>; readonly remote: Readonly<Address> | undefined }
  >();
  now = 1_000_000 as Instant;
  readonly stages: string[] = [];
  #report: BehaviorReport | undefined;
  /** When each transaction began, by its ID. */
  readonly started = new Map<string, number>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed ?? 1);
    const servers = options.services.map(({ addresses }) => addresses[0]!);
    const tests = { tcp: false, gateway: false, lifetime: undefined, ...options.tests };
    this.#machine = new NatDiscovery({ family: servers[0]!.family, servers, tests }, this.#random);
  }

  /** Runs to the report. */
  discover(): BehaviorReport {
    this.#machine.start(this.now);
    this.#drain();
    while (this.#report === undefined) this.#next();
    assert.equal(this.#sockets.size, 0, "every socket is closed");
    assert.equal(this.#machine.pollTimeout(), undefined);
    return this.#report;
  }

  #next(): void {
    this.#events.sort((a, b) => a.when - b.when);
    const due = this.#machine.pollTimeout() ?? Number.POSITIVE_INFINITY;
    const [event] = this.#events;
    assert.ok(event !== undefined || Number.isFinite(due), "it does not wait for ever");
    if (event !== undefined && event.when <= due) {
      this.#events.shift();
      this.now = event.when as Instant;
      event.run();
    } else {
      this.now = Math.max(this.now, due) as Instant;
      this.#machine.handleTimeout(this.now);
    }
    this.#drain();
  }

  #later(run: () => void): void {
    if ((this.#options.lossOneIn ?? 0) > 0 && this.#random.oneIn(this.#options.lossOneIn!)) return;
    this.#events.push({ when: after(this.now, DELAY), run });
  }

  #drain(): void {
    const machine = this.#machine;
    for (let output = machine.pollOutput(); output !== undefined; output = machine.pollOutput()) this.#perform(output);
  }

  #perform(output: NatDiscoveryOutput): void {
    if (output.kind === "report") this.#report = output.report;
    else if (output.kind === "stage") this.stages.push(output.stage);
    else if (output.kind === "close") this.#sockets.delete(output.socket);
    else if (output.kind === "send") this.#send(output);
    else if (output.kind === "ask-gateway") this.#askGateway();
    else {
      const port = "localPort" in output && output.localPort !== 0 ? output.localPort : this.#freePort();
      const local = at(this.#options.local ?? "10.0.0.2", port);
      this.#sockets.set(output.socket, { local, remote: output.kind === "open" ? undefined : output.to });
      this.#events.push({ when: this.now, run: () => this.#machine.handleOpened(output.socket, local, this.now) });
    }
  }

  #freePort(): number {
    const port = 32_768 + this.#random.below(20_000);
    const taken = [...this.#sockets.values()].some(({ local }) => local.port === port);
    return taken ? this.#freePort() : port;
  }

  #askGateway(): void {
    const { gateway } = this.#options;
    if (gateway !== undefined) this.#later(() => this.#machine.handleGateway(gateway, this.now));
  }

  #send({ socket, to, data, hopLimit }: Extract<NatDiscoveryOutput, { kind: "send" }>): void {
    const { local, remote } = this.#sockets.get(socket)!;
    const transport = remote === undefined ? "udp" : "tcp";
    const id = Buffer.from(data.subarray(4, 20)).toString("hex");
    const isRequest = (data[1]! & 0x10) === 0;
    if (isRequest && !this.started.has(id)) this.started.set(id, this.now);
    if (this.#options.blocks?.(data, to)) return;
    let source = local;
    for (const [i, hop] of this.#hops.entries()) {
      if (hopLimit !== undefined && hopLimit <= i + 1 && !this.#options.ignoresHopLimit) return;
      if (hop === "router") continue;
      const inside = source;
      source = hop.outward(transport, inside, to, this.now);
      if (!hop.isOwn(to)) continue;
      const seen = hop.hairpin(inside, source);
      if (seen !== undefined) this.#later(() => this.#arrive(source, to, data, seen, i));
      return;
    }
    this.#ask(source, to, data);
  }

  get #hops(): readonly (SmallNat | "router")[] {
    return this.#options.hops ?? (this.#options.nat === undefined ? [] : [this.#options.nat]);
  }

  #ask(source: Readonly<Address>, to: Readonly<Address>, data: Uint8Array): void {
    const { services } = this.#options;
    const service = services.find(({ addresses }) => addresses.some((one) => formatAddress(one) === formatAddress(to)));
    if (service === undefined) return;
    this.#later(() => {
      for (const reply of service.answer(data, source, to, this.now)) {
        this.#later(() => this.#arrive(reply.from, reply.to, reply.data));
      }
    });
  }

  /** Goes in from the hop `at` on. */
  #inward(from: Readonly<Address>, to: Readonly<Address>, at: number): Readonly<Address> | undefined {
    let inside: Readonly<Address> | undefined = to;
    for (const hop of this.#hops.slice(0, at + 1).reverse()) {
      if (hop !== "router") inside = inside && hop.inward(from, inside, this.now);
    }
    return inside;
  }

  #arrive(from: Readonly<Address>, to: Readonly<Address>, data: Uint8Array, seen = from, at = this.#hops.length): void {
    const { meddle } = this.#options;
    const inside = this.#inward(from, to, at);
    const bytes = meddle === undefined ? data : meddle(data, from);
    if (inside === undefined || bytes === undefined) return;
    for (const [socket, { local, remote }] of this.#sockets) {
      if (formatAddress(local) !== formatAddress(inside)) continue;
      if (remote !== undefined && formatAddress(remote) !== formatAddress(from)) continue;
      // Lent, as by a shell: others afterwards.
      const lent = Buffer.from(bytes);
      this.#machine.handleMessage(socket, lent, seen, this.now);
      lent.fill(0xaa);
      return;
    }
  }
}
