/** A TurnHost on loopback with one user, and what its tests watch: events, log lines, a peer. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type Address, formatAddress, parseIp } from "../../src/core/base/address.ts";
import { parsePrefix } from "../../src/core/base/prefix.ts";
import { longTermKey } from "../../src/core/stun/credentials.ts";
import { PasswordAlgorithmNumber } from "../../src/core/stun/registry.ts";
import type { TurnServerConfig } from "../../src/core/turn/server/config.ts";
import type { TurnServerEvent, UserKeys } from "../../src/core/turn/server/outputs.ts";
import { chooseDatapath } from "../../src/node/datapath/choice.ts";
import { createDatapath } from "../../src/node/datapath/creation.ts";
import type { Datapath } from "../../src/node/datapath/datapath.ts";
import type { Log } from "../../src/node/log.ts";
import { TurnHost, type TurnHostOptions } from "../../src/node/turn-host.ts";
import { testCrypto } from "../support/crypto.ts";
import { freePortRange } from "../support/ports.ts";
import { CONFIG, REALM } from "../support/turn-world.ts";

export const alice = { username: "alice", password: "alice's password" } as const;

export function at(ip: string, port = 0): Address {
  return parseIp(ip, port) as Address;
}

export function aliceKeys(): UserKeys {
  const key = (algorithm: PasswordAlgorithmNumber) =>
    longTermKey(testCrypto, algorithm, alice.username, REALM, alice.password);
  const { Md5, Sha256 } = PasswordAlgorithmNumber;
  return { username: alice.username, md5: key(Md5), sha256: key(Sha256) };
}

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: Record<string, unknown>;
}

export class HostUnderTest implements AsyncDisposable {
  readonly host: TurnHost;
  readonly datapath: Datapath = createDatapath(chooseDatapath("auto").kind);
  readonly events: TurnServerEvent[] = [];
  readonly lines: LogLine[] = [];

  private constructor(options: Partial<TurnHostOptions>, config: TurnServerConfig) {
    const line = (level: string) => (fields: object, event: string) => {
      this.lines.push({ level, event, fields: { ...fields } });
    };
    const log: Log = {
      trace: line("trace"),
      debug: line("debug"),
      info: line("info"),
      warn: line("warn"),
      error: line("error"),
    };
    this.host = new TurnHost({
      datapath: this.datapath,
      keys: async (user) => ("username" in user && user.username === alice.username ? aliceKeys() : undefined),
      onEvent: (event) => this.events.push(event),
      log,
      ...options,
      config,
    });
  }

  static async create(
    options: Partial<TurnHostOptions> = {},
    config: Partial<TurnServerConfig> = {},
  ): Promise<HostUnderTest> {
    const { low, high } = await freePortRange(64);
    const loopback = at("127.0.0.1");
    return new HostUnderTest(options, {
      ...CONFIG,
      relays: [{ bound: loopback, advertised: loopback }],
      ownAddresses: [],
      relayPorts: { min: low, max: high },
      peers: { allow: [parsePrefix("127.0.0.0/8")!, parsePrefix("::1/128")!], deny: [], ports: undefined },
      ...config,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.host.close();
  }
}

/** A peer on loopback that keeps what it gets. */
export class LoopbackPeer implements AsyncDisposable {
  readonly #socket: Socket;
  readonly received: { readonly data: Buffer; readonly from: string }[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (data, { address, port }) => {
      this.received.push({ data, from: formatAddress(at(address, port)) });
    });
  }

  static async open(ip = "127.0.0.1", port = 0): Promise<LoopbackPeer> {
    const socket = createSocket({ type: ip.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
    socket.bind(port, ip);
    await once(socket, "listening");
    return new LoopbackPeer(socket);
  }

  get address(): Address {
    const { address, port } = this.#socket.address();
    return at(address, port);
  }

  send(data: Uint8Array, to: Readonly<Address>): void {
    this.#socket.send(data, to.port, to.family === 4 ? "127.0.0.1" : "::1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}
