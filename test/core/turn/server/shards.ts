/**
 * A server of several shards on one virtual clock: a `World` each, one host under them all, and the messages between them,
 * which arrive at once unless a test keeps them back. Counts and owners are exact, which is what the shell's come close to.
 */
import assert from "node:assert/strict";
import { type Address, formatAddress, sameIp } from "../../../../src/core/base/address.ts";
import { SOURCE_SLOTS } from "../../../../src/core/base/source-budget.ts";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import type { TurnServerConfig } from "../../../../src/core/turn/server/config.ts";
import type { Flow } from "../../../../src/core/turn/server/flow.ts";
import { LocalCounts } from "../../../../src/core/turn/server/quota.ts";
import {
  NOBODY,
  type RelayOwners,
  type ShardMessage,
  type SharedBudgets,
} from "../../../../src/core/turn/server/shard.ts";
import { baseConfig, type Client, type Media, type ShardOutput, textOf, World } from "./world.ts";

const portsEach = 20;

interface Envelope {
  readonly from: number;
  readonly to: number;
  readonly message: ShardMessage;
}

export class Shards {
  readonly worlds: World[] = [];
  readonly #config: TurnServerConfig;
  readonly #counts: LocalCounts = new LocalCounts(1);
  readonly #budgets: SharedBudgets = {
    seed: 9,
    strangers: new Int32Array(SOURCE_SLOTS),
    acquaintances: new Int32Array(SOURCE_SLOTS),
    reflections: new Int32Array(SOURCE_SLOTS),
  };
  /** By formatted bound address. */
  readonly #owners: Map<string, number> = new Map();
  /** Sockets on their way, and those that came with a claim's answer: by shard and claim. */
  readonly travelling: Map<string, Readonly<Address>> = new Map();
  readonly mail: Envelope[] = [];
  /** Messages stay in `mail` until `deliver`. */
  isSlow = false;
  declined = 0;
  #starts = 0;

  constructor(count: number, config: Partial<TurnServerConfig> = {}) {
    this.#config = { ...baseConfig, ...config };
    for (let index = 0; index < count; index++) this.start(index, count);
  }

  /** The shard with this number begins anew. */
  start(index: number, count: number = this.worlds.length): World {
    const { min } = this.#config.relayPorts;
    const relayPorts = { min: min + index * portsEach, max: min + index * portsEach + portsEach - 1 };
    const shard = {
      index,
      count,
      incarnation: this.#starts++,
      counts: this.#counts,
      owners: this.#ownersOf(index),
      budgets: this.#budgets,
      tokenKey: encodeUtf8("a key for tokens"),
    };
    const former = this.worlds[index];
    const world = new World({ ...this.#config, relayPorts }, index + 1, shard);
    if (former !== undefined) world.now = former.now;
    world.onShards = (output) => this.#carryOut(index, output);
    world.onDrained = () => {
      if (!this.isSlow) this.deliver();
    };
    this.worlds[index] = world;
    return world;
  }

  /** As the main thread sees to it: sockets closed, nothing owned, the others told. */
  kill(index: number): void {
    for (const [address, owner] of this.#owners) if (owner === index) this.#owners.delete(address);
    for (const key of this.travelling.keys()) if (key.startsWith(`${index}:`)) this.travelling.delete(key);
    for (let i = this.mail.length - 1; i >= 0; i--) if (this.mail[i]?.to === index) this.mail.splice(i, 1);
    this.start(index);
    for (const [other, world] of this.worlds.entries()) {
      if (other === index) continue;
      world.server.handleShardLost(index, world.now);
      world.drain();
    }
  }

  deliver(): void {
    for (let next = this.mail.shift(); next !== undefined; next = this.mail.shift()) {
      const world = this.worlds[next.to] as World;
      world.server.handleShardMessage(next.from, next.message, world.now);
      world.drain();
    }
  }

  /** The oldest message of the `nth` pair of shards that has any: each pair's come in order. */
  deliverOne(nth: number): void {
    const firsts = this.mail.filter(({ from, to }, i) => {
      return this.mail.findIndex((other) => other.from === from && other.to === to) === i;
    });
    const next = firsts[nth % Math.max(1, firsts.length)];
    if (next === undefined) return;
    this.mail.splice(this.mail.indexOf(next), 1);
    const world = this.worlds[next.to] as World;
    world.server.handleShardMessage(next.from, next.message, world.now);
    world.drain();
  }

  advance(seconds: number): void {
    for (const world of this.worlds) world.advance(seconds);
  }

  /** All open sockets of the host, sorted. */
  get sockets(): string[] {
    const open = this.worlds.flatMap(({ relays }) => [...relays.values()]);
    const all = [...open, ...this.travelling.values()].map(formatAddress).sort();
    assert.equal(new Set(all).size, all.length, "no port is open twice");
    return all;
  }

  /** What a client sends, and what becomes of it in the shard that is handed it. */
  media(client: Client, data: Uint8Array): Media | undefined {
    const { world } = client;
    const out = world.server.handleClientDatagram(data, data.length, client.path, world.now);
    world.drain();
    assert.ok(out === undefined || out.shard !== NOBODY, "it leaves the shard");
    if (out === undefined) return undefined;
    const payload = data.slice(out.offset, out.offset + out.length);
    const there = this.worlds[out.shard] as World;
    const { peer } = out.flow;
    const end = there.server.handleShardDatagram(payload, 0, payload.length, out.source, peer, there.now);
    there.drain();
    return end && shown(end.flow, textOf(payload.subarray(end.offset, end.offset + end.length)));
  }

  #carryOut(index: number, output: ShardOutput): void {
    const world = this.worlds[index] as World;
    if (output.kind === "tell") this.mail.push({ from: index, to: output.shard, message: output.message });
    else if (output.kind === "handOverRelay") {
      const { relay, shard, claim, bound } = output;
      assert.ok(world.relays.delete(relay), "an open socket is handed over");
      this.travelling.set(`${shard}:${claim}`, bound);
      this.mail.push({ from: index, to: shard, message: { type: "handed-over", claim, bound } });
    } else {
      const key = `${index}:${output.claim}`;
      const bound = this.travelling.get(key);
      assert.ok(bound, "a socket came with the claim");
      this.travelling.delete(key);
      if (output.kind === "adoptRelay") {
        world.relays.set(output.relay, bound);
        world.server.handleRelayBound(output.relay, world.now);
      } else this.declined++;
    }
  }

  #ownersOf(index: number): RelayOwners {
    const { relays } = this.#config;
    return {
      find: (address) => {
        const place = relays.find(({ bound, advertised }) => sameIp(bound, address) || sameIp(advertised, address));
        const owner = place && this.#owners.get(formatAddress({ ...place.bound, port: address.port }));
        return owner === undefined || owner === index ? NOBODY : owner;
      },
      publish: (bound) => void this.#owners.set(formatAddress(bound), index),
      unpublish: (bound) => {
        if (this.#owners.get(formatAddress(bound)) === index) this.#owners.delete(formatAddress(bound));
      },
    };
  }
}

function shown(flow: Flow, payload: string): Media {
  const to = flow.toward === "peer" ? flow.peer : flow.client.remote;
  return { toward: flow.toward, to: formatAddress(to), channel: flow.channel, payload };
}
