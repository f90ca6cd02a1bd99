/** Whatever clients, shards and messages do, and in whatever order: no port twice, no quota exceeded, nothing left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Attribute, Method } from "../../../../src/core/stun/registry.ts";
import type { StunWriter } from "../../../../src/core/stun/writer.ts";
import { Shards } from "./shards.ts";
import { type Answer, baseConfig, Client, type World } from "./world.ts";

const count = 3;
const most = 6;
const portsEach = 20;

type Step =
  | { readonly pair: number }
  | { readonly claim: number; readonly by: number; readonly who: number }
  | { readonly end: number; readonly who: number }
  | { readonly mail: number }
  | { readonly dies: number }
  | { readonly seconds: number };

const shard = fc.nat(count - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ pair: shard }) },
  { weight: 6, arbitrary: fc.record({ claim: fc.nat(), by: shard, who: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ end: shard, who: fc.nat(2) }) },
  { weight: 8, arbitrary: fc.record({ mail: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ dies: shard }) },
  { weight: 2, arbitrary: fc.record({ seconds: fc.constantFrom(1, 2, 29, 31) }) },
);

class Run {
  readonly shards = new Shards(count, { quotas: { ...baseConfig.quotas, allocationsPerUser: most } });
  readonly #tokens: Uint8Array[] = [];
  #clients = 0;

  constructor() {
    this.shards.isSlow = true;
  }

  take(what: Step): void {
    const { shards } = this;
    if ("pair" in what) {
      const client = new Client(shards.worlds[what.pair] as World, `5.6.9.9:${1000 + ++this.#clients}`);
      for (const { view } of this.#allocate(client, (w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0x80)))) {
        const token = view.bytes(Attribute.ReservationToken);
        if (token !== undefined) this.#tokens.push(token.slice());
      }
    } else if ("claim" in what) {
      const token = this.#tokens[what.claim % Math.max(1, this.#tokens.length)];
      if (token !== undefined)
        this.#allocate(this.#client(what.by, what.who), (w) => w.bytes(Attribute.ReservationToken, token));
    } else if ("end" in what) {
      const { world, path } = this.#client(what.end, what.who);
      world.server.handleClientClosed(path, world.now);
      world.drain();
    } else if ("mail" in what) shards.deliverOne(what.mail);
    else if ("dies" in what) shards.kill(what.dies);
    else shards.advance(what.seconds);
    this.#check();
  }

  #client(index: number, who: number): Client {
    return new Client(this.shards.worlds[index] as World, `5.6.7.8:${2000 + who}`);
  }

  #allocate(client: Client, build: (w: StunWriter) => unknown): Answer[] {
    return client.raw(
      client.sealed(Method.Allocate, (w) => {
        w.u32(Attribute.RequestedTransport, 17 << 24);
        build(w);
      }),
    );
  }

  #check(): void {
    // That no port is open twice is seen in `sockets` itself.
    assert.ok(this.shards.sockets.length <= 3 * most);
    const live = this.shards.worlds.reduce((sum, { server }) => sum + server.stats.allocations, 0);
    assert.ok(live <= most, `${live} allocations of ${most}`);
  }

  end(): void {
    const { shards } = this;
    shards.isSlow = false;
    shards.deliver();
    for (const { server, now } of shards.worlds) server.handleUserRemoved("alice", now);
    shards.advance(4000);
    assert.deepEqual(shards.sockets, [], "every socket is closed");
    for (const [index, world] of shards.worlds.entries()) {
      assert.equal(world.server.pollTimeout(), undefined, "nothing is waited for");
      world.users.set("bob", "b");
      for (let i = 0; i < portsEach; i++) {
        const user = { username: `bob`, password: "b" };
        const client = new Client(world, `5.6.${index}.9:${3000 + i}`, user);
        const answers = this.#allocate(client, () => {});
        if (i >= most) continue;
        assert.deepEqual(
          answers.map(({ code }) => code),
          [0],
          "quota and ports are free again",
        );
      }
      world.server.handleUserRemoved("bob", world.now);
      world.drain();
    }
  }
}

test("property: shards that lend each other ports keep the laws of one server", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const run = new Run();
      for (const what of steps) run.take(what);
      run.end();
    }),
    { numRuns: 120 },
  );
});
