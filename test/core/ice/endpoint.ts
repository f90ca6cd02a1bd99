/** An agent on a natlab host, with its driver: sockets, allocations, a clock; and an application that talks all the time. */
import { type Address, formatIp } from "../../../src/core/base/address.ts";
import { after, type Instant } from "../../../src/core/base/machine.ts";
import { IceAgent } from "../../../src/core/ice/agent.ts";
import type { BaseId } from "../../../src/core/ice/base.ts";
import type { Candidate } from "../../../src/core/ice/candidate.ts";
import type { IceConfig } from "../../../src/core/ice/config.ts";
import type { HostBase } from "../../../src/core/ice/gathering.ts";
import type { IceEvent, IceOutput, Path } from "../../../src/core/ice/outputs.ts";
import type { Host } from "../../../src/natlab/host.ts";
import type { UdpSocket } from "../../../src/natlab/udp-socket.ts";
import type { World } from "../../../src/natlab/world.ts";
import { Allocation, portsOf } from "./servers.ts";

export type EventOf<T> = Extract<IceEvent, { type: T }>;

export interface EndpointOptions extends Partial<IceConfig> {
  /** TURN servers; of each an allocation in its own family for every component. */
  readonly turn?: readonly Readonly<Address>[];
}

const MEDIA_EVERY_MS = 20;

export class Endpoint {
  readonly name: string;
  readonly agent: IceAgent;
  readonly world: World;
  readonly host: Host;
  readonly events: { readonly at: Instant; readonly event: IceEvent }[] = [];
  /** Of the application: when, on which component, and over which base. */
  readonly received: { readonly at: Instant; readonly component: number; readonly base: BaseId }[] = [];
  readonly sent: { readonly at: Instant; readonly kind: Path["kind"] }[] = [];
  /** Sees each event as it happens. */
  onEvent: (event: IceEvent) => void = () => {};
  /** Sees each datagram that leaves a socket or an allocation, and may take it away. */
  onSend: (output: Extract<IceOutput, { kind: "send" }>) => boolean = () => true;
  readonly config: EndpointOptions;
  /** Sockets that can be opened when the agent asks for them. */
  descriptors = Number.POSITIVE_INFINITY;
  readonly sockets: Map<BaseId, UdpSocket> = new Map();
  readonly allocations: Map<BaseId, Allocation> = new Map();
  readonly #alarm: ReturnType<World["alarm"]>;
  #nextBase = 1;
  #isTalking = false;

  constructor(name: string, world: World, host: Host, config: EndpointOptions = {}) {
    this.name = name;
    this.world = world;
    this.host = host;
    this.config = config;
    this.agent = new IceAgent(config, portsOf(world));
    this.#alarm = world.alarm(() => this.input((agent, now) => agent.handleTimeout(now)));
  }

  get streams(): readonly (readonly number[])[] {
    return this.config.streams ?? [[1]];
  }

  input(mutate: (agent: IceAgent, now: Instant) => void): void {
    mutate(this.agent, this.world.now);
    for (let output = this.agent.pollOutput(); output !== undefined; output = this.agent.pollOutput())
      this.#perform(output);
    this.#alarm.follow(this.agent.pollTimeout());
  }

  #perform(output: IceOutput): void {
    if (output.kind === "event") {
      this.events.push({ at: this.world.now, event: output.event });
      this.onEvent(output.event);
    } else if (output.kind === "permit") this.allocations.get(output.base)?.permit(output.peer);
    else if (output.kind === "openSocket") this.#openLike(output.like);
    else if (output.kind === "closeSocket") this.#closeSocket(output.base);
    else if (this.onSend(output)) this.#send(output.base, output.to, output.data);
  }

  #send(base: BaseId, to: Readonly<Address>, data: Uint8Array): void {
    this.sockets.get(base)?.send(data, to);
    this.allocations.get(base)?.send(data, to);
  }

  /** A socket for every address, stream and component; and allocations. */
  gather(): void {
    const all = this.host.addresses.flatMap((address) => this.#each().map((place) => this.bind(address, ...place)));
    const pending = (this.config.turn ?? []).flatMap((server) =>
      this.#each().map((place) => this.#allocate(server, ...place)),
    );
    this.input((agent, now) => agent.gather(all, now));
    for (const start of pending) start();
  }

  #each(): [stream: number, component: number][] {
    return this.streams.flatMap((components, stream) =>
      components.map((component): [number, number] => [stream, component]),
    );
  }

  bind(address: Readonly<Address>, stream: number, component: number): HostBase {
    const base = this.#nextBase++ as BaseId;
    const socket = this.host.socket({ address: formatIp(address) });
    this.sockets.set(base, socket);
    socket.onMessage = (data, from) => this.#receive(base, data, from);
    return { base, stream, component, address: socket.address };
  }

  /** Another socket on the address of `like`. */
  #openLike(like: BaseId): void {
    const { address } = this.sockets.get(like) as UdpSocket;
    this.world.at(this.world.now, () => {
      if (this.descriptors-- <= 0) return this.input((agent, now) => agent.handleSocketFailed(like, now));
      const { base, address: bound } = this.bind({ ...address, port: 0 }, 0, 1);
      this.input((agent, now) => agent.handleSocketOpened(like, base, bound, now));
    });
  }

  #closeSocket(base: BaseId): void {
    this.sockets.get(base)?.close();
    this.sockets.delete(base);
  }

  #receive(base: BaseId, data: Uint8Array, from: Readonly<Address>): void {
    this.input((agent, now) => {
      if (!agent.handleDatagram(base, from, data, now)) return;
      this.received.push({ at: now, component: data[1] as number, base });
    });
  }

  #allocate(server: Readonly<Address>, stream: number, component: number): () => void {
    const base = this.#nextBase++ as BaseId;
    this.agent.handleRelayPending(base, stream, component);
    const own = this.host.addresses.find(({ family }) => family === server.family);
    const open = (): UdpSocket => this.host.socket(own === undefined ? {} : { address: formatIp(own) });
    return () => {
      if (own === undefined) return this.input((agent, now) => agent.handleRelayFailed(base, "No address.", now));
      const families = server.family === 4 ? "ipv4" : "ipv6";
      const allocation = new Allocation(this.world, open, server, families, {
        allocated: (address, mapped) => {
          const relay = { base, stream, component, address, mapped, transport: "udp" } as const;
          this.input((agent, now) => agent.handleRelayed(relay, now));
        },
        failed: (why) => this.input((agent, now) => agent.handleRelayFailed(base, why, now)),
        permitted: (peer, refusal) =>
          this.input((agent, now) => {
            if (refusal === undefined) agent.handlePermitted(base, peer, now);
            else agent.handleNotPermitted(base, peer, refusal, now);
          }),
        received: (data, from) => this.#receive(base, data, from),
      });
      this.allocations.set(base, allocation);
    };
  }

  /** Sends on every component, 50 times a second, whenever there is a way. */
  talk(): void {
    if (this.#isTalking) return;
    this.#isTalking = true;
    const say = (): void => {
      if (this.agent.state === "closed") return;
      for (const [stream, component] of this.#each()) {
        const data = Uint8Array.of(0x80, component, stream, ...new Uint8Array(29));
        const route = this.agent.send(stream, component, data);
        if (route === undefined) continue;
        this.sent.push({ at: this.world.now, kind: this.kindOf(route.base.id, route.remoteAddress) });
        this.#send(route.base.id, route.remoteAddress, data);
      }
      this.world.at(after(this.world.now, MEDIA_EVERY_MS), say);
    };
    say();
  }

  kindOf(base: BaseId, remote: Readonly<Address>): Path["kind"] {
    const servers = this.config.turn ?? [];
    const isAtServer = servers.some((server) => formatIp(server) === formatIp(remote));
    return this.allocations.has(base) || isAtServer ? "relayed" : "direct";
  }

  all<T extends IceEvent["type"]>(type: T): (EventOf<T> & { readonly at: Instant })[] {
    return this.events.flatMap(({ at, event }) => (event.type === type ? [{ ...(event as EventOf<T>), at }] : []));
  }

  last<T extends IceEvent["type"]>(type: T): (EventOf<T> & { readonly at: Instant }) | undefined {
    return this.all(type).at(-1);
  }

  /** The newest path of a component. */
  path(component = 1, stream = 0): Path | undefined {
    return this.all("selected").findLast(({ path }) => path.component === component && path.stream === stream)?.path;
  }

  get candidates(): Candidate[] {
    return this.all("candidate").map(({ candidate }) => candidate);
  }

  close(): void {
    this.input((agent, now) => agent.close(now));
    for (const socket of this.sockets.values()) socket.close();
    for (const allocation of this.allocations.values()) allocation.close();
    this.#alarm.stop();
  }
}
