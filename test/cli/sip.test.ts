/** What the command line tells of phones and calls, from a daemon that has some. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { parseIp } from "../../src/core/base/address.ts";
import type { ShownCall, ShownRefusal, ShownRegistration } from "../../src/server/services/sip/shown.ts";
import { startChild } from "../support/child.ts";
import { cleanEnvironment, postern, type RunningDaemon, startDaemon } from "../support/daemon.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { SipPhone } from "../support/sip-phone.ts";
import { until } from "../support/until.ts";

const DOMAIN = "example.org";

async function run(
  args: readonly string[],
  input = "",
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = await startChild(postern(...args), { env: cleanEnvironment, holdInput: true });
  child.write(input);
  child.closeInput();
  const { code } = await child.ended();
  return { code, output: child.output() };
}

suite("a daemon with phones", () => {
  let daemon: RunningDaemon;
  let sipPort: number;
  const ask = (...args: string[]) =>
    run([...args, "--data-dir", daemon.dataDir, "--http-listen", `127.0.0.1:${daemon.ports.httpPort}`]);

  before(async () => {
    sipPort = await freePort();
    const media = await freePortRange(64);
    const flags = ["--sip-domain", DOMAIN, "--sip-port", `${sipPort}`, "--sips-port", "off"];
    daemon = await startDaemon({ flags: [...flags, "--media-ports", `${media.low}-${media.high}`] });
    for (const name of ["1001", "bob"]) {
      const added = await run(
        ["user", "add", name, "--sip", "--password-stdin", "--data-dir", daemon.dataDir],
        "a long secret",
      );
      // The daemon has said which domain it serves.
      assert.deepEqual(added, { code: 0, output: `${name} may register a phone as sip:${name}@${DOMAIN}.\n` });
    }
  });
  after(() => daemon[Symbol.asyncDispose]());

  const phone = (user: string, last: number): Promise<SipPhone> => {
    const server = parseIp("127.0.0.1", sipPort) ?? assert.fail();
    return SipPhone.open({ user, domain: DOMAIN, password: "a long secret" }, `127.0.0.${last}`, server);
  };

  test("its greeting says what to set in a telephone", () => {
    const output = daemon.child.output();
    assert.match(output, /domain example\.org$/m);
    assert.match(output, /server \(outbound proxy\) 127\.0\.0\.1$/m);
    assert.match(output, new RegExp(`port ${sipPort} \\(UDP or TCP\\)$`, "m"));
  });

  test("registrations and calls, and who is not heard", async () => {
    assert.equal((await ask("registrations")).output, "No phone is registered.\n");
    assert.equal((await ask("calls")).output, "There is no call.\n");
    await using alice = await phone("1001", 2);
    await using bob = await phone("bob", 3);
    for (const one of [alice, bob]) await one.register(600);
    const { output } = await ask("registrations");
    assert.match(output, /^1001 {3}udp 127\.0\.0\.2:\d+ {3}registered, has not answered a probe yet$/m);
    assert.match(output, /^ {4}says it is sip:bob@127\.0\.0\.3:\d+, test phone$/m);
    assert.match(output, /^ {4}registered \d s ago, for another (600|59\d) s$/m);
    const phones = JSON.parse((await ask("registrations", "--json")).output) as ShownRegistration[];
    assert.deepEqual(
      phones.map(({ user, state }) => [user, state]),
      [
        ["1001", "reachable"],
        ["bob", "reachable"],
      ],
    );

    const { answer } = await alice.call(bob);
    for (let i = 1; i <= 4; i++) alice.speak(answer.body, i);
    await until("voice", () => bob.heard.length === 4);
    const shown = (await ask("calls")).output;
    assert.match(shown, /^1001 \(udp 127\.0\.0\.2:\d+\) to bob \(udp 127\.0\.0\.3:\d+\): talking for \d s$/m);
    assert.match(shown, /^ {4}audio from 1001 to 127\.0\.0\.1:\d+: 4 packets, 0 lost, jitter [\d.]+ ms$/m);
    assert.match(shown, /^ {8}nothing heard from bob: it sends nothing, or a firewall drops UDP to 127\.0\.0\.1:\d+$/m);
    const [call] = JSON.parse((await ask("calls", "--json")).output) as ShownCall[];
    assert.deepEqual([call?.state, call?.caller.name, call?.callee?.name], ["acknowledged", "1001", "bob"]);

    const metrics = await (await fetch(`http://127.0.0.1:${daemon.ports.httpPort}/metrics`)).text();
    assert.match(metrics, /^postern_sip_registrations 2$/m);
    assert.match(metrics, /^postern_sip_calls 1$/m);
    assert.match(metrics, /^postern_media_packets_total 4$/m);
    assert.match(metrics, /^postern_sip_refused_total\{reason="wrong-password"\} 0$/m);
    assert.equal((await fetch(`http://127.0.0.1:${daemon.ports.httpPort}/calls`)).status, 401);
  });

  test("who was refused lately is told below the phones, and over HTTP", async () => {
    const server = parseIp("127.0.0.1", sipPort) ?? assert.fail();
    await using guesser = await SipPhone.open({ user: "1001", domain: DOMAIN, password: "guess" }, "127.0.0.9", server);
    assert.equal((await guesser.register()).status, 401);
    const { output } = await ask("registrations");
    assert.match(output, /^refused lately:\n {4}127\.0\.0\.9 · 1001 · wrong password · once · \d s ago$/m);
    const token = (await readFile(join(daemon.dataDir, "http-token"), "utf8")).trim();
    const answer = await fetch(`http://127.0.0.1:${daemon.ports.httpPort}/registrations`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const { refused } = (await answer.json()) as { refused: ShownRefusal[] };
    assert.deepEqual(
      refused.map(({ why, name, transport, count }) => [why, name, transport, count]),
      [["wrong-password", "1001", "udp", 1]],
    );
  });

  test("a user who is removed has no phone any more, and is not let in again", async () => {
    await using bob = await phone("bob", 3);
    assert.equal((await bob.register()).status, 200);
    await run(["user", "remove", "bob", "--data-dir", daemon.dataDir]);
    await until("Bob's phone to be gone", async () => !(await ask("registrations")).output.includes("bob"));
    assert.equal((await bob.register()).status, 401);
  });

  test("--no-sip takes the phone and leaves the user, whom the list shows so", async () => {
    const add = (...flags: string[]) =>
      run(["user", "add", "carol", "--password-stdin", ...flags, "--data-dir", daemon.dataDir], "a long secret");
    const list = async () => (await run(["user", "list", "--data-dir", daemon.dataDir])).output;
    const may = `may register a phone as sip:carol@${DOMAIN}`;
    assert.equal((await add("--sip")).output, `carol ${may}.\n`);
    assert.match(await list(), /^carol {3}since \d{4}-\d\d-\d\d {3}phone$/m);
    assert.equal((await add()).output, `carol has a new password, and ${may}.\n`);
    assert.match(await list(), /^carol .*phone$/m, "a new password changes nothing else");
    const taken = 'carol has a new password and no phone any more, and is let in, realm "postern".\n';
    assert.deepEqual(await add("--no-sip"), { code: 0, output: taken });
    assert.equal((await add("--sip")).output, `carol has a new password and now a phone, and ${may}.\n`);
    await add("--no-sip");
    assert.match(await list(), /^carol {3}since \d{4}-\d\d-\d\d$/m);
  });

  test("a password for another domain than the daemon's says so", async () => {
    const add = ["user", "add", "erin", "--sip", "--password-stdin", "--data-dir", daemon.dataDir];
    const { code, output } = await run([...add, "--sip-domain", "elsewhere.example"], "a long secret");
    assert.equal(code, 0);
    assert.ok(output.includes(`The daemon serves ${DOMAIN}: until it serves elsewhere.example, `), output);
    assert.equal(
      (await run(add, "a long secret")).output,
      `erin has a new password, and may register a phone as sip:erin@${DOMAIN}.\n`,
    );
  });
});

test("whom nobody answers is told so", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "postern-ask-"));
  after(() => rm(dataDir, { recursive: true }));
  const { code, output } = await run(["user", "add", "dora", "--sip", "--generate", "--data-dir", dataDir]);
  assert.deepEqual([code, /sip-domain/.test(output)], [1, true], output);
  await using daemon = await startDaemon({ dataDir });
  const asked = (port: number) => run(["calls", "--data-dir", daemon.dataDir, "--http-listen", `127.0.0.1:${port}`]);
  assert.match((await asked(daemon.ports.httpPort)).output, /serves no phones: set sip-domain/);
  assert.match((await asked(await freePort())).output, /No daemon answers at http/);
});
