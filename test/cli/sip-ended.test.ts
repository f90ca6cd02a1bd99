/** Calls that are over, and a daemon that ends while there are some. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { parseIp } from "../../src/core/base/address.ts";
import type { ShownCall } from "../../src/server/services/sip/shown.ts";
import { UserStore } from "../../src/server/users/user-store.ts";
import { startChild } from "../support/child.ts";
import { cleanEnvironment, postern, startDaemon } from "../support/daemon.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { SipPhone } from "../support/sip-phone.ts";
import { until } from "../support/until.ts";

const DOMAIN = "example.org";

async function run(args: readonly string[]): Promise<string> {
  const child = await startChild(postern(...args), { env: cleanEnvironment });
  await child.ended();
  return child.output();
}

async function office(drainDeadline: string) {
  const [sipPort, media] = [await freePort(), await freePortRange(64)];
  const sip = ["--sip-domain", DOMAIN, "--sip-port", `${sipPort}`, "--sips-port", "off"];
  const ports = ["--media-ports", `${media.low}-${media.high}`, "--drain-deadline", drainDeadline];
  const daemon = await startDaemon({ flags: [...sip, ...ports] });
  const phone = async (user: string, last: number): Promise<SipPhone> => {
    using users = UserStore.open(join(daemon.dataDir, "users.db"));
    users.setPassword(user, "secret", ["postern"], 1, DOMAIN);
    const server = parseIp("127.0.0.1", sipPort) ?? assert.fail();
    const made = await SipPhone.open({ user, domain: DOMAIN, password: "secret" }, `127.0.0.${last}`, server);
    assert.equal((await made.register()).status, 200);
    return made;
  };
  const http = `127.0.0.1:${daemon.ports.httpPort}`;
  const ask = (...args: string[]) => run([...args, "--data-dir", daemon.dataDir, "--http-listen", http]);
  const health = async () => (await fetch(`http://${http}/healthz`)).json() as Promise<Record<string, unknown>>;
  return { daemon, phone, ask, health, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() };
}

test("postern calls --ended: who, when, how long, why it ended, and what came from each side", async () => {
  await using here = await office("0s");
  await using alice = await here.phone("1001", 2);
  await using bob = await here.phone("bob", 3);
  assert.equal(await here.ask("calls", "--ended"), "No call has ended in the last hour.\n");
  const { answer, invite } = await alice.call(bob);
  for (let i = 1; i <= 4; i++) alice.speak(answer.body, i);
  await until("voice", () => bob.heard.length === 4);
  for (let i = 1; i <= 5; i++) bob.speak(invite.body, i);
  await until("voice", () => alice.heard.length === 5);
  alice.send(alice.within(answer, "BYE"));
  bob.accept(await bob.request("BYE"));
  await until("its end", async () => (await here.health())["calls"] === 0);
  const said = await here.ask("calls", "--ended");
  assert.match(
    said,
    /^\d\d:\d\d:\d\d UTC {3}1001 \(udp 127\.0\.0\.2:\d+\) to bob \(udp 127\.0\.0\.3:\d+\): talked for [^:]+: hung up by 1001$/m,
  );
  assert.match(said, /^ {4}audio from 1001 to 127\.0\.0\.1:\d+: 4 packets, 0 lost, jitter [\d.]+ ms$/m);
  assert.match(said, /^ {4}audio from bob to 127\.0\.0\.1:\d+: 5 packets, 0 lost, jitter [\d.]+ ms$/m);
  const [call, ...others] = JSON.parse(await here.ask("calls", "--ended", "--json")) as ShownCall[];
  assert.deepEqual([others.length, call?.state, call?.end, call?.troubles], [0, "ended", "hung up by caller", []]);
  assert.ok(call?.ended != null && Date.parse(call.ended) >= Date.parse(call.started));
});

test("SIGTERM counts calls, waits for them, and says how many it ended", async () => {
  await using here = await office("1h");
  await using alice = await here.phone("1001", 2);
  await using bob = await here.phone("bob", 3);
  assert.equal((await here.health())["calls"], 0);
  const { answer } = await alice.call(bob);
  assert.equal((await here.health())["calls"], 1);
  process.kill(here.daemon.child.pid, "SIGTERM");
  const { allocations, calls } = await here.daemon.logged("draining");
  assert.deepEqual({ allocations, calls }, { allocations: 0, calls: 1 });
  const { status, calls: left } = await here.health();
  assert.deepEqual({ status, left }, { status: "draining", left: 1 });
  assert.equal((await bob.ask(bob.invitation("1001"))).status, 503);
  assert.equal(here.daemon.child.ending(), undefined);
  alice.send(alice.within(answer, "BYE"));
  bob.accept(await bob.request("BYE"));
  assert.deepEqual(await here.daemon.child.ended(), { code: 0, signal: null });
  assert.equal((await here.daemon.logged("stopped"))["calls"], 0);
});

test("a call that is left at the deadline is counted as ended", async () => {
  await using here = await office("1s");
  await using alice = await here.phone("1001", 2);
  await using bob = await here.phone("bob", 3);
  await alice.call(bob);
  process.kill(here.daemon.child.pid, "SIGTERM");
  assert.deepEqual(await here.daemon.child.ended(), { code: 0, signal: null });
  const { ended, allocations, calls } = await here.daemon.logged("stopped");
  assert.deepEqual({ ended, allocations, calls }, { ended: 1, allocations: 0, calls: 1 });
});
