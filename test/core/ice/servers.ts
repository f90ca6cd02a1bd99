/** STUN and TURN on natlab: the server machine with its sockets, and a client's allocation as an agent's base. */
import { type Address, copyAddress, formatIp, sameAddress } from "../../../src/core/base/address.ts";
import type { UnixSeconds } from "../../../src/core/base/machine.ts";
import type { Ports } from "../../../src/core/base/ports.ts";
import { longTermKey } from "../../../src/core/stun/credentials.ts";
import { PasswordAlgorithmNumber } from "../../../src/core/stun/registry.ts";
import { TurnClient } from "../../../src/core/turn/client/turn-client.ts";
import type { ClientPath } from "../../../src/core/turn/server/client-path.ts";
import type { TurnServerConfig } from "../../../src/core/turn/server/config.ts";
import type { Forward, RelayId } from "../../../src/core/turn/server/flow.ts";
import type { TurnServerOutput } from "../../../src/core/turn/server/outputs.ts";
import { TurnServer } from "../../../src/core/turn/server/turn-server.ts";
import type { Host } from "../../../src/natlab/host.ts";
import type { UdpSocket } from "../../../src/natlab/udp-socket.ts";
import type { World } from "../../../src/natlab/world.ts";
import { testCrypto } from "../../support/crypto.ts";
import { channelData, clientConfig } from "../turn/client/pair.ts";
import { baseConfig } from "../turn/server/world.ts";

export const STUN_PORT = 3478;

export function portsOf(world: World): Ports {
  const wallClock = { now: () => Math.floor(1_800_000_000 + world.now / 1000) as UnixSeconds };
  return { crypto: testCrypto, random: world.random(), wallClock };
}

/** What an application sends in these tests begins as RTP does. */
export function isMedia(data: Uint8Array): boolean {
  return ((data[0] as number) & 0xc0) === 0x80;
}

export class TurnService {
  readonly #world: World;
  readonly #host: Host;
  readonly #server: TurnServer;
  readonly #listeners: UdpSocket[] = [];
  readonly #relays: Map<RelayId, UdpSocket> = new Map();
  readonly #alarm: ReturnType<World["alarm"]>;
  /** Datagrams of the application that it has carried. */
  mediaPackets = 0;

  /** `host` has one address of each family at most. */
  constructor(world: World, host: Host, config: Partial<TurnServerConfig> = {}) {
    this.#world = world;
    this.#host = host;
    const { addresses } = host;
    const relays = addresses.map((one) => ({ bound: one, advertised: one }));
    const own = { relays, ownAddresses: addresses };
    this.#server = new TurnServer({ ...baseConfig, ...own, ...config }, portsOf(world));
    this.#alarm = world.alarm(() => this.#input(() => this.#server.handleTimeout(world.now)));
    for (const address of addresses) this.#listen(address);
  }

  #listen(address: Readonly<Address>): void {
    const socket = this.#host.socket({ address: formatIp(address), port: STUN_PORT });
    this.#listeners.push(socket);
    socket.onMessage = (data, from) => {
      const path = this.#path(socket, from);
      this.#input(() =>
        this.#forward(this.#server.handleClientDatagram(data, data.length, path, this.#world.now), data),
      );
    };
  }

  #path(socket: UdpSocket, from: Readonly<Address>): ClientPath {
    const listener = this.#listeners.indexOf(socket);
    return { transport: "udp", listener, local: socket.address, remote: copyAddress(from), connection: 0 };
  }

  #input(mutate: () => void): void {
    mutate();
    for (let output = this.#server.pollOutput(); output !== undefined; output = this.#server.pollOutput()) {
      this.#perform(output);
    }
    this.#alarm.follow(this.#server.pollTimeout());
  }

  #perform(output: TurnServerOutput): void {
    if (output.kind === "send") this.#listeners[output.to.listener]?.send(output.data, output.to.remote);
    else if (output.kind === "bindRelay") this.#bind(output.relay, output.address);
    else if (output.kind === "releaseRelay") this.#relays.get(output.relay)?.close();
    else if (output.kind === "lookupKey") {
      const key = (algorithm: PasswordAlgorithmNumber): Uint8Array => {
        return longTermKey(testCrypto, algorithm, "alice", baseConfig.realm, "wonderland");
      };
      const keys = {
        username: "alice",
        md5: key(PasswordAlgorithmNumber.Md5),
        sha256: key(PasswordAlgorithmNumber.Sha256),
      };
      this.#server.handleKey(output.query, keys, this.#world.now);
    }
  }

  #bind(relay: RelayId, address: Readonly<Address>): void {
    const socket = this.#host.socket({ address: formatIp(address), port: address.port });
    this.#relays.set(relay, socket);
    socket.onMessage = (data, from) => {
      this.#input(() =>
        this.#forward(this.#server.handlePeerDatagram(data, data.length, from, relay, this.#world.now), data),
      );
    };
    this.#server.handleRelayBound(relay, this.#world.now);
  }

  #forward(forward: Forward | undefined, data: Uint8Array): void {
    if (forward === undefined) return;
    const { flow, offset, length } = forward;
    const payload = data.slice(offset, offset + length);
    if (isMedia(payload)) this.mediaPackets++;
    if (flow.toward === "peer") this.#relays.get(flow.relay)?.send(payload, flow.peer);
    else this.#listeners[flow.client.listener]?.send(channelData(flow.channel, payload), flow.client.remote);
  }
}

/** What an allocation tells the agent that it is a base of. */
export interface RelayUser {
  allocated(relayed: Readonly<Address>, mapped: Readonly<Address>): void;
  failed(why: string): void;
  permitted(peer: Readonly<Address>, refusal: string | undefined): void;
  received(data: Uint8Array, from: Readonly<Address>): void;
}

/** A TURN client on a natlab host. */
export class Allocation {
  readonly #world: World;
  readonly #open: () => UdpSocket;
  readonly #user: RelayUser;
  readonly #client: TurnClient;
  readonly #alarm: ReturnType<World["alarm"]>;
  readonly server: Readonly<Address>;
  #socket: UdpSocket | undefined;

  constructor(
    world: World,
    open: () => UdpSocket,
    server: Readonly<Address>,
    families: "ipv4" | "ipv6",
    user: RelayUser,
  ) {
    this.#world = world;
    this.#open = open;
    this.#user = user;
    this.server = server;
    this.#client = new TurnClient({ ...clientConfig, server, families }, portsOf(world));
    this.#alarm = world.alarm(() => this.#input(() => this.#client.handleTimeout(world.now)));
    this.#input(() => this.#client.open(world.now));
  }

  permit(peer: Readonly<Address>): void {
    this.#input(() => this.#client.permit(peer, this.#world.now));
  }

  send(data: Uint8Array, peer: Readonly<Address>): void {
    const framing = this.#client.send(peer, data);
    if (framing === undefined) return;
    this.#socket?.send(framing.kind === "channel" ? channelData(framing.number, data) : framing.data, this.server);
  }

  close(): void {
    this.#input(() => this.#client.close(this.#world.now));
  }

  #input(mutate: () => void): void {
    mutate();
    for (let output = this.#client.pollOutput(); output !== undefined; output = this.#client.pollOutput()) {
      if (output.kind === "connect") this.#connect();
      else if (output.kind === "disconnect") this.#socket?.close();
      else if (output.kind === "send") this.#socket?.send(output.data, this.server);
      else if (output.kind !== "event") continue;
      else if (output.event.type === "allocated") {
        const { relayed, mapped } = output.event.allocated;
        for (const one of relayed) this.#user.allocated(one, mapped);
      } else if (output.event.type === "permission") {
        this.#user.permitted(output.event.peer, output.event.failure?.why);
      } else if (output.event.type === "ended") this.#user.failed(output.event.failure.why);
    }
    this.#alarm.follow(this.#client.pollTimeout());
  }

  #connect(): void {
    this.#socket?.close();
    const socket = this.#open();
    this.#socket = socket;
    socket.onMessage = (data, from) => {
      if (!sameAddress(from, this.server)) return;
      this.#input(() => {
        const incoming = this.#client.handleServerDatagram(data, data.length, this.#world.now);
        if (incoming === undefined) return;
        this.#user.received(data.slice(incoming.offset, incoming.offset + incoming.length), copyAddress(incoming.peer));
      });
    };
    this.#world.at(this.#world.now, () => this.#input(() => this.#client.handleConnected(this.#world.now)));
  }
}
