/** Postern's TURN server and TURN client, both machines, on natlab's UDP, TCP and TLS. */
import assert from "node:assert/strict";
import { type Address, formatAddress, formatIp } from "../../src/core/base/address.ts";
import type { UnixSeconds } from "../../src/core/base/machine.ts";
import { encodeUtf8 } from "../../src/core/base/utf8.ts";
import type { TurnClientConfig } from "../../src/core/turn/client/config.ts";
import type { TurnClientEvent, TurnClientOutput } from "../../src/core/turn/client/outputs.ts";
import { TurnClient } from "../../src/core/turn/client/turn-client.ts";
import type { ClientPath } from "../../src/core/turn/server/client-path.ts";
import type { Forward, RelayId } from "../../src/core/turn/server/flow.ts";
import { StreamFramer } from "../../src/core/turn/stream-framing.ts";
import type { Host } from "../../src/natlab/host.ts";
import type { ByteStream } from "../../src/natlab/tcp/byte-stream.ts";
import { tlsClient, tlsServer } from "../../src/natlab/tls/tls-stream.ts";
import type { UdpSocket } from "../../src/natlab/udp-socket.ts";
import type { World } from "../../src/natlab/world.ts";
import { channelData, clientConfig } from "../core/turn/client/pair.ts";
import { World as ServerWorld, textOf } from "../core/turn/server/world.ts";
import { SeededRandom, testCrypto } from "../support/crypto.ts";

type Transport = ClientPath["transport"];

/** RFC 8656 §12.5: over a stream ChannelData is padded to four bytes. */
function padded(data: Uint8Array): Uint8Array {
  const whole = new Uint8Array((data.length + 3) & ~3);
  whole.set(data);
  return whole;
}

function framed(stream: ByteStream, onFrame: (frame: Uint8Array) => void): void {
  const framer = new StreamFramer(70_000);
  stream.onData = (data) => {
    framer.push(data);
    for (let one = framer.next(); one !== undefined; one = framer.next()) onFrame(one);
  };
}

/** The server on a host, with its relays. */
export class TurnServerHost {
  readonly #world: World;
  readonly #host: Host;
  readonly #turn: ServerWorld;
  readonly #alarm: ReturnType<World["alarm"]>;
  readonly #relays: Map<RelayId, UdpSocket> = new Map();
  /** How to reach each client: streams by connection, UDP under 0. */
  readonly #ways: Map<number, (to: Readonly<Address>, data: Uint8Array) => void> = new Map();
  #connections = 0;

  constructor(world: World, host: Host) {
    this.#world = world;
    this.#host = host;
    this.#turn = new ServerWorld();
    this.#alarm = world.alarm(() => this.#input(() => this.#turn.server.handleTimeout(world.now)));
  }

  serveUdp(local: Readonly<Address>): void {
    const socket = this.#host.socket({ address: formatIp(local), port: local.port });
    this.#ways.set(0, (to, data) => socket.send(data, to));
    socket.onMessage = (data, remote) => {
      this.#handle(data, { transport: "udp", listener: 1, local, remote, connection: 0 });
    };
  }

  serveStreams(transport: "tcp" | "tls", local: Readonly<Address>): void {
    this.#host.listen({ address: formatIp(local), port: local.port }, (connection) => {
      const stream = transport === "tls" ? tlsServer(connection) : connection;
      const id = ++this.#connections;
      const path: ClientPath = { transport, listener: 1, local, remote: stream.remoteAddress, connection: id };
      this.#ways.set(id, (_, data) => stream.write(padded(data)));
      framed(stream, (frame) => this.#handle(frame, path));
      stream.onEnd = () => stream.end();
      stream.onClose = () => {
        this.#ways.delete(id);
        this.#input(() => this.#turn.server.handleClientClosed(path, this.#world.now));
      };
    });
  }

  #handle(data: Uint8Array, path: ClientPath): void {
    this.#input(() => {
      const forward = this.#turn.server.handleClientDatagram(data, data.length, path, this.#world.now);
      if (forward !== undefined) this.#forward(forward, data);
    });
  }

  #forward({ flow, offset, length }: Forward, data: Uint8Array): void {
    const payload = data.slice(offset, offset + length);
    if (flow.toward === "peer") this.#relays.get(flow.relay)?.send(payload, flow.peer);
    else this.#ways.get(flow.client.connection)?.(flow.client.remote, channelData(flow.channel, payload));
  }

  #input(change: () => void): void {
    const turn = this.#turn;
    turn.now = this.#world.now;
    turn.unix = 1_800_000_000 + Math.floor(this.#world.now / 1000);
    change();
    turn.drain();
    for (const { to, data } of turn.sent.splice(0)) this.#ways.get(to.connection)?.(to.remote, data);
    this.#openRelays();
    this.#alarm.follow(turn.server.pollTimeout());
  }

  #openRelays(): void {
    const { relays, server } = this.#turn;
    for (const [id, socket] of this.#relays) if (!relays.has(id) && this.#relays.delete(id)) socket.close();
    for (const [id, at] of relays) {
      if (this.#relays.has(id) || at.family !== 4) continue;
      const socket = this.#host.socket({ address: formatIp(at), port: at.port });
      this.#relays.set(id, socket);
      socket.onMessage = (data, peer) => {
        this.#input(() => {
          const forward = server.handlePeerDatagram(data, data.length, peer, id, this.#world.now);
          if (forward !== undefined) this.#forward(forward, data);
        });
      };
    }
  }
}

/** The client on a host. */
export class TurnClientHost {
  readonly client: TurnClient;
  readonly events: TurnClientEvent[] = [];
  readonly heard: string[] = [];
  readonly #world: World;
  readonly #host: Host;
  readonly #transport: Transport;
  readonly #alarm: ReturnType<World["alarm"]>;
  #send: (data: Uint8Array) => void = () => {};
  #disconnect: () => void = () => {};

  constructor(
    world: World,
    host: Host,
    config: Pick<TurnClientConfig, "transport" | "server"> & Partial<TurnClientConfig>,
  ) {
    this.#world = world;
    this.#host = host;
    this.#transport = config.transport;
    const wallClock = { now: () => (1_800_000_000 + Math.floor(world.now / 1000)) as UnixSeconds };
    const ports = { crypto: testCrypto, random: new SeededRandom(98), wallClock };
    this.client = new TurnClient({ ...clientConfig, ...config }, ports);
    this.#alarm = world.alarm(() => this.input(() => this.client.handleTimeout(world.now)));
    this.input(() => this.client.open(world.now));
  }

  /** What the events say, shortly. */
  get log(): string[] {
    return this.events.map((event) =>
      "failure" in event && event.failure !== undefined ? `${event.type}: ${event.failure.reason}` : event.type,
    );
  }

  say(peer: Readonly<Address>, text: string): void {
    const data = encodeUtf8(text);
    const framing = this.client.send(peer, data);
    assert.ok(framing, "there is an allocation, and a permission");
    this.#send(framing.kind === "channel" ? channelData(framing.number, data) : framing.data);
  }

  input(change: () => void): void {
    change();
    for (let o = this.client.pollOutput(); o !== undefined; o = this.client.pollOutput()) this.#perform(o);
    this.#alarm.follow(this.client.pollTimeout());
  }

  #perform(output: TurnClientOutput): void {
    if (output.kind === "event") this.events.push(output.event);
    else if (output.kind === "send") this.#send(output.data);
    else if (output.kind === "disconnect") this.#disconnect();
    else if (output.kind === "connect") {
      this.#disconnect();
      if (this.#transport === "udp") this.#openSocket(output.server);
      else this.#openStream(output.server);
    }
  }

  #openSocket(server: Readonly<Address>): void {
    const socket = this.#host.socket();
    socket.onMessage = (data) => this.#handle(data);
    this.#send = (data) => socket.send(data, server);
    this.#disconnect = () => socket.close();
    this.#world.at(this.#world.now, () => this.input(() => this.client.handleConnected(this.#world.now)));
  }

  #openStream(server: Readonly<Address>): void {
    const connection = this.#host.connect(server, { timeout: 10_000 });
    const stream = this.#transport === "tls" ? tlsClient(connection, { serverName: "turn.example.org" }) : connection;
    stream.onOpen = () => this.input(() => this.client.handleConnected(this.#world.now));
    framed(stream, (frame) => this.#handle(frame));
    stream.onClose = () => this.input(() => this.client.handleDisconnected(this.#world.now));
    this.#send = (data) => stream.write(padded(data));
    this.#disconnect = () => {
      stream.onOpen = stream.onClose = undefined;
      stream.reset();
    };
  }

  #handle(data: Uint8Array): void {
    this.input(() => {
      const incoming = this.client.handleServerDatagram(data, data.length, this.#world.now);
      if (incoming === undefined) return;
      const text = textOf(data.subarray(incoming.offset, incoming.offset + incoming.length));
      this.heard.push(`${text} from ${formatAddress(incoming.peer)}`);
    });
  }
}
