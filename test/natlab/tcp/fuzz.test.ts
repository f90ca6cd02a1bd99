/** Whatever a link does to segments: bytes arrive whole and in order, or the connection says that it failed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { after } from "../../../src/core/base/machine.ts";
import { natBehavior } from "../../../src/natlab/behavior.ts";
import { allOf } from "../../../src/natlab/firewall/firewall.ts";
import { InsideToOutside } from "../../../src/natlab/firewall/inside-to-outside.ts";
import { inspecting } from "../../../src/natlab/firewall/inspection.ts";
import { withoutUdp } from "../../../src/natlab/firewall/port-rules.ts";
import type { GatewayOptions } from "../../../src/natlab/gateway.ts";
import type { LinkConditions } from "../../../src/natlab/link.ts";
import { SeededRandom } from "../../../src/natlab/seeded-random.ts";
import { Flag } from "../../../src/natlab/tcp/segment.ts";
import type { World } from "../../../src/natlab/world.ts";
import { forge, Program, pair, pairThrough } from "./pair.ts";

function conditions(random: SeededRandom): Partial<LinkConditions> {
  const share = (most: number): number => (random.happens(0.5) ? random.fraction() * most : 0);
  return {
    delay: random.below(200),
    jitter: random.below(100),
    loss: share(0.3),
    reorder: share(0.5),
    reorderBy: random.below(300),
    duplicate: share(0.3),
    mtu: 100 + random.below(1500),
    rate: random.happens(0.3) ? 200_000 : Number.POSITIVE_INFINITY,
  };
}

/** Writes at random times, pauses and resumes, and ends; keeps what it wrote. */
function write(world: World, program: Program, random: SeededRandom, kept: Uint8Array[]): void {
  let at = world.now;
  for (let n = random.below(12); n > 0; n--) {
    at = after(at, random.below(500));
    const bytes = random.bytes(random.below(random.happens(0.2) ? 20_000 : 300));
    world.at(at, () => {
      if (random.happens(0.1)) program.stream.pause();
      kept.push(bytes);
      program.stream.write(bytes);
    });
    world.at(after(at, random.below(3000)), () => program.stream.resume());
  }
  world.at(after(at, 10), () => program.stream.end());
}

type Kind = "bare" | "forger" | "middlebox";

function gateway(): GatewayOptions {
  const ports = { kind: "random" } as const;
  const firewall = allOf(withoutUdp, new InsideToOutside(), inspecting("stun", "sip"));
  return { nat: natBehavior({ mapping: "address-and-port-dependent", ports }), firewall };
}

/** One run: what each side wrote, what the other got, and what both said. */
function run(seed: number, kind: Kind) {
  const random = new SeededRandom(seed);
  const lab = kind === "middlebox" ? pairThrough(gateway(), conditions(random), seed) : pair(conditions(random), seed);
  const { world, link, left, server, listener } = lab;
  const [toServer, toClient]: [Uint8Array[], Uint8Array[]] = [[], []];
  const client = new Program(left.connect(server, { port: 5000 }));
  const far: Program[] = [];
  listener.onConnection = (connection) => {
    const program = new Program(connection);
    far.push(program);
    write(world, program, random, toClient);
  };
  write(world, client, random, toServer);
  if (kind === "forger") {
    for (let n = 0; n < 40; n++) {
      world.at(random.below(5000) as typeof world.now, () => {
        const [from, to] = [["10.0.0.1", 5000] as const, ["10.0.0.2", 80] as const];
        const [source, destination] = random.happens(0.5) ? [from, to] : [to, from];
        const segment = { sequence: random.u32(), acknowledgment: random.u32(), flags: random.below(32) };
        forge(
          { world, link },
          source,
          destination,
          { ...segment, window: random.below(65_536) },
          random.bytes(random.below(50)),
        );
        if (random.happens(0.1)) forge({ world, link }, source, destination, { flags: Flag.Syn | Flag.Fin | Flag.Rst });
      });
    }
  }
  world.settle(4_000_000);
  // One side that waits and has nothing to say does not see that the other has failed: TCP is like that.
  const ends = [client, ...far].map(({ log }) => log.at(-1));
  assert.ok(
    ends.some((end) => end?.startsWith("closed: ")),
    `${seed}: ${ends}`,
  );
  if (ends.some((end) => end?.startsWith("closed: ") !== true)) {
    assert.ok(
      ends.some((end) => end?.startsWith("closed: ") && end !== "closed: finished"),
      `${seed}: ${ends}`,
    );
  }
  return { client, far: far.at(-1), toServer, toClient };
}

function isPrefix(part: Buffer, whole: Buffer): boolean {
  return part.equals(whole.subarray(0, part.length));
}

for (const [kind, what, least] of [
  ["bare", "", 140],
  ["forger", ", and forged segments", 120],
  ["middlebox", ", through a NAT and firewalls that read along", 130],
] as const) {
  test(`random links and writes${what}: whole and in order, or a failure`, () => {
    let finished = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const { client, far, toServer, toClient } = run(seed, kind);
      const [up, down] = [Buffer.concat(toServer), Buffer.concat(toClient)];
      assert.ok(isPrefix(far?.bytes ?? Buffer.alloc(0), up), `${seed}: to the server`);
      assert.ok(isPrefix(client.bytes, down), `${seed}: to the client`);
      if (client.log.at(-1) !== "closed: finished" || far?.log.at(-1) !== "closed: finished") continue;
      assert.deepEqual([far.bytes.length, client.bytes.length], [up.length, down.length], String(seed));
      finished++;
    }
    assert.ok(finished >= least, `${finished} of 150 finished`);
  });
}
