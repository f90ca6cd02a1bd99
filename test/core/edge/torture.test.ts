/** RFC 4475's messages as a stranger would send them to the edge: what is none is met with silence, the rest with a challenge. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Phone, World } from "./world.ts";

const directory = new URL("../../vectors/rfc4475/", import.meta.url);
/** To a server for `example.com`; others are for nobody here, or one of their headers is not to be read. */
const challenged: Readonly<Record<string, number>> = {
  ...{ cparam01: 401, cparam02: 401, dblreq: 401, escnull: 401, regaut01: 401, regescrt: 401, unksm2: 401 },
  ...{ baddate: 407, esc01: 407, esc02: 407, intmeth: 407, inv2543: 407, invut: 407, longreq: 407, sdp01: 407 },
};

for (const name of readdirSync(directory).map((file) => file.slice(0, -".dat".length))) {
  const status = challenged[name];
  test(`RFC 4475: ${name} of a stranger is ${status === undefined ? "dropped" : `answered ${status}`}, and goes nowhere`, () => {
    const world = new World({ domain: "example.com" });
    const stranger = new Phone(world, "nobody", { outside: "198.51.100.7" });
    world.deliver(readFileSync(new URL(`${name}.dat`, directory), "latin1"), stranger.flow);
    assert.deepEqual(
      stranger.responses.map((response) => response.status),
      status === undefined ? [] : [status],
    );
    assert.deepEqual([stranger.requests, world.astray, world.edge.calls(), world.ports.size], [[], [], [], 0]);
  });
}
