import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { until } from "../support/until.ts";

test("two processes never get the same port", async () => {
  const ask = `import { freePort } from ${JSON.stringify(new URL("../support/ports.ts", import.meta.url).href)};
    for (let i = 0; i < 70; i++) console.log(await freePort()); process.stdin.resume(); process.stdin.on("end", () => process.exit());`;
  const others = [0, 1].map(() => promisify(execFile)(process.execPath, ["--input-type=module", "-e", ask]));
  const own = [await freePort(), (await freePortRange(100)).low];
  let heard = "";
  for (const { child } of others) child.stdout?.on("data", (chunk) => (heard += chunk));
  await until("both to have all ports", () => heard.split("\n").length > 140);
  for (const { child } of others) child.stdin?.end();
  await Promise.all(others);
  const all = [...own, ...heard.trim().split("\n").map(Number)];
  assert.equal(new Set(all).size, all.length);
});

test("until gives the value, or says what it waited for and why", async () => {
  let asked = 0;
  assert.equal(await until("three", () => (++asked === 3 ? asked : undefined)), 3);
  const never = until("rain", () => assert.fail("dry"), { within: 30 });
  await assert.rejects(never, (error: Error) => /30 ms.*rain/.test(error.message) && /dry/.test(String(error.cause)));
});

test("a missing peer is a reason to skip, or a failure where peers are required", (t) => {
  const before = { path: process.env.PATH, peers: process.env.POSTERN_PEERS };
  t.after(() => {
    process.env.PATH = before.path;
    if (before.peers === undefined) delete process.env.POSTERN_PEERS;
    else process.env.POSTERN_PEERS = before.peers;
  });
  process.env.PATH = "";
  delete process.env.POSTERN_PEERS;
  assert.match(String(requirePeer("turnutils_uclient")), /turnutils_uclient not installed \(apt-get install coturn\)/);
  process.env.POSTERN_PEERS = "required";
  assert.throws(() => requirePeer("turnutils_uclient"), /required/);
});
