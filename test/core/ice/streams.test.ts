/** Several streams and components, dual stack, lite peers, and networks that lose packets. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Call } from "./call.ts";
import { Endpoint } from "./endpoint.ts";
import { build, type Cell, cells, run } from "./grid.ts";

const all = cells();

function cellOf(family: Cell["family"], name: string): Cell {
  return all.find((one) => one.family === family && one.name === name) as Cell;
}

const cones = cellOf("apart", "EI/AD and EI/AD");
const strict = cellOf("apart", "APD/APD and APD/APD");

suite("RTP and RTCP apart, in two streams", () => {
  for (const cell of [cones, strict]) {
    for (const trickle of [false, true]) {
      test(`${cell.name}${trickle ? ", candidates one by one" : ""}: each finds its path`, () => {
        const streams = [
          [1, 2],
          [1, 2],
        ];
        const { world, turn, a, b } = build(cell, { config: { streams } });
        new Call(a, b, { trickle }).start().talk();
        world.advance(6_000);
        for (const one of [a, b]) {
          assert.equal(one.agent.state, "connected");
          for (const stream of [0, 1]) {
            for (const component of [1, 2]) assert.equal(one.path(component, stream)?.kind, cell.expected);
          }
          assert.ok(new Set(one.received.filter(({ at }) => at > world.now - 100).map(({ base }) => base)).size === 4);
        }
        if (cell.expected === "direct") assert.equal(turn.mediaPackets, 0);
      });
    }
  }

  test("RFC 8445 §14.2: and both agents keep the pace over all of them", () => {
    const { world, a, b } = build(cones, {
      config: {
        streams: [
          [1, 2],
          [1, 2],
        ],
      },
    });
    const times: number[] = [];
    const ids = new Set<string>();
    a.onSend = ({ data }) => {
      // A request that was not seen before begins a transaction; those of consent keep a pace of their own.
      const id = String(data.slice(8, 20));
      if ((data[0] as number) === 0 && (data[1] as number) === 1 && !ids.has(id)) times.push(world.now);
      ids.add(id);
      return true;
    };
    new Call(a, b).start();
    world.advance(4_000);
    for (const [n, at] of times.slice(1).entries())
      assert.ok(at - (times[n] as number) >= 50 - 1e-6, `${times[n]} ${at}`);
  });
});

suite("with losses both sides connect, and where a direct path exists it is found", () => {
  for (const loss of [0.01, 0.1]) {
    test(`${loss * 100} %`, () => {
      for (let seed = 1; seed <= 40; seed++) {
        const { world, a, b } = build(cones, { seed, loss });
        new Call(a, b, { trickle: seed % 2 === 0 }).start().talk();
        world.advance(15_000);
        assert.deepEqual([a.path()?.kind, b.path()?.kind], ["direct", "direct"], `seed ${seed}`);
      }
    });
  }
});

test("RFC 8445 §2.5: a full agent behind the strictest NAT, and a lite one without any", () => {
  const { world, a, internet } = build({ ...strict, b: [] }, { config: { turn: [] } });
  const host = world.host("lite").attach(internet, "5.1.0.50");
  const lite = new Endpoint("lite", world, host, { isLite: true });
  const call = new Call(a, lite).start().talk();
  assert.ok(call);
  world.advance(3_000);
  assert.deepEqual([a.agent.state, lite.agent.state], ["connected", "connected"]);
  assert.ok(a.received.length > 100 && lite.received.length > 100);
  world.advance(60_000);
  assert.deepEqual([a.agent.state, lite.agent.state], ["connected", "connected"]);
});

test("an IPv6 path is preferred, where both have one", () => {
  const { world, a, b } = build(cellOf("IPv6", "EI/AD and EI/AD, IPv6 of both"));
  new Call(a, b).start().talk();
  world.advance(4_000);
  assert.equal(a.path()?.remote.address.family, 6);
});

test("the same seed gives the same call", () => {
  const once = (): unknown => run(strict, { seed: 7 });
  assert.deepEqual(once(), once());
});
