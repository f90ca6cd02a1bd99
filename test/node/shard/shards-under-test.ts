/** TurnShards on loopback with one user, and what its tests watch. */
import { readdirSync } from "node:fs";
import type { Address } from "../../../src/core/base/address.ts";
import { parsePrefix } from "../../../src/core/base/prefix.ts";
import type { PortRange } from "../../../src/core/base/relay-places.ts";
import type { TurnServerConfig } from "../../../src/core/turn/server/config.ts";
import type { TurnServerEvent } from "../../../src/core/turn/server/outputs.ts";
import type { Log } from "../../../src/node/log.ts";
import { portShare } from "../../../src/node/shard/shares.ts";
import { TurnShards, type TurnShardsOptions } from "../../../src/node/shard/turn-shards.ts";
import { freePortRange } from "../../support/ports.ts";
import { TurnClient } from "../../support/turn-client.ts";
import { CONFIG } from "../../support/turn-world.ts";
import { alice, aliceKeys, at, type LogLine } from "../host-under-test.ts";

export async function freeRelayPorts(): Promise<PortRange> {
  const { low, high } = await freePortRange(64);
  return { min: low, max: high };
}

export interface Session {
  readonly client: TurnClient;
  readonly relayed: Address;
}

export class ShardsUnderTest implements AsyncDisposable {
  readonly host: TurnShards;
  readonly shards: number;
  readonly relayPorts: PortRange;
  readonly events: TurnServerEvent[] = [];
  readonly lines: LogLine[] = [];
  readonly #held: AsyncDisposableStack = new AsyncDisposableStack();
  /** The UDP listener's. */
  port = 0;

  private constructor(options: Partial<TurnShardsOptions>, config: TurnServerConfig, onLost: () => void) {
    const line = (level: string) => (fields: object, event: string) => {
      this.lines.push({ level, event, fields: { ...fields } });
      if (event === "shard-ended") onLost();
    };
    const [trace, debug, info, warn, error] = ["trace", "debug", "info", "warn", "error"].map(line);
    this.shards = options.shards ?? 2;
    this.relayPorts = config.relayPorts;
    this.host = new TurnShards({
      shards: 2,
      wakeDelay: 250,
      keys: (user) => ("username" in user && user.username === alice.username ? aliceKeys() : undefined),
      onEvent: (event) => this.events.push(event),
      log: { trace, debug, info, warn, error } as Log,
      streams: {},
      ...options,
      config,
    });
  }

  /** Listens on UDP at `ip`. `onLost`: called when a worker has ended, and there is no other yet. */
  static async create(
    options: Partial<TurnShardsOptions> = {},
    config: Partial<TurnServerConfig> = {},
    ip: string = "127.0.0.1",
    onLost: () => void = () => {},
  ): Promise<ShardsUnderTest> {
    const relayPorts = config.relayPorts ?? (await freeRelayPorts());
    const loopback = at("127.0.0.1");
    const whole: TurnServerConfig = {
      ...CONFIG,
      relays: [{ bound: loopback, advertised: loopback }],
      ownAddresses: [],
      relayPorts,
      peers: { allow: [parsePrefix("127.0.0.0/8")!, parsePrefix("::1/128")!], deny: [], ports: undefined },
      ...config,
    };
    const t = new ShardsUnderTest(options, whole, onLost);
    t.port = (await t.host.listen({ transport: "udp", address: at(ip) })).address.port;
    return t;
  }

  logged(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** A client that is closed with this. */
  async connect(): Promise<TurnClient> {
    return this.#held.use(await TurnClient.connect({ port: this.port, ...alice }));
  }

  /** An allocation on each shard, in their order: so many clients come that there are. */
  async sessionOnEach(): Promise<Session[]> {
    const found = new Map<number, Session>();
    const { shards, relayPorts } = this;
    for (let tries = 0; found.size < shards && tries < 100; tries++) {
      const client = await this.connect();
      const relayed = (await client.allocate()).relayed[0] as Address;
      const shares = Array.from({ length: shards }, (_, i) => portShare(relayPorts, i, shards + 1));
      const shard = shares.findIndex(({ min, max }) => relayed.port >= min && relayed.port <= max);
      if (!found.has(shard)) found.set(shard, { client, relayed });
    }
    return Array.from({ length: shards }, (_, i) => found.get(i) as Session);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
    await this.host.close();
  }
}

/** What this process has open. */
export function openCount(): number {
  return readdirSync("/proc/self/fd").length;
}
