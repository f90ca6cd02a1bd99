/** `postern check` with credentials: against Postern and coturn, with right ones and wrong ones, and through a proxy. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server } from "node:http";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { startChild } from "../support/child.ts";
import { startCoturn } from "../support/coturn.ts";
import { cleanEnvironment, postern, startDaemon } from "../support/daemon.ts";
import { requireIpv6, requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";
import type { RelayOptions, RelayUnderTest } from "../support/relay-under-test.ts";
import { makeTestCertificates, type TestCertificates } from "../support/test-ca.ts";
import { until } from "../support/until.ts";

const user = { name: "alice", password: "wonderland" };
const environment = { ...cleanEnvironment, https_proxy: "", HTTPS_PROXY: "", no_proxy: "", NO_PROXY: "" };
const skipped = requirePeer("openssl");
let directory: string;
let certificate: TestCertificates;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "postern-check-"));
  if (!skipped) certificate = await makeTestCertificates(directory);
});
after(() => rm(directory, { recursive: true }));

interface Given {
  readonly password?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

async function check(args: readonly string[], { password, input, env = {} }: Given = {}) {
  const child = await startChild(postern("check", "--duration", "1s", ...args), {
    env: {
      ...environment,
      NODE_EXTRA_CA_CERTS: certificate?.ca ?? "",
      ...(password === undefined ? {} : { POSTERN_CHECK_PASSWORD: password }),
      ...env,
    },
    holdInput: input !== undefined,
  });
  if (input !== undefined) {
    child.write(input);
    child.closeInput();
  }
  const { code } = await child.ended({ within: 90_000 });
  return { code, output: child.output() };
}

async function relayOptions(): Promise<RelayOptions> {
  return {
    addresses: requireIpv6() ? ["127.0.0.1"] : ["127.0.0.1", "::1"],
    ...{ user, relayPorts: await freePortRange(64), allowPeers: ["127.0.0.0/8"], certificate },
    ...{ port: await freePort(), tlsPort: await freePort() },
  };
}

for (const [name, start] of Object.entries({ postern: startPostern, coturn: startCoturn })) {
  const skip = skipped || (name === "coturn" && requirePeer("turnserver"));
  suite(`against ${name}`, { skip }, () => {
    let options: RelayOptions;
    let relay: RelayUnderTest;
    before(async () => {
      options = await relayOptions();
      relay = await start(options);
    });
    after(() => relay.stop());

    test("right credentials: packets come back over UDP, TCP and TLS, and calls will work", async () => {
      const uris = [`turn:127.0.0.1:${options.port}`, `turns:localhost:${options.tlsPort}`];
      const { code, output } = await check(["--json", ...uris, "--user", user.name], { password: user.password });
      assert.equal(code, 0, output);
      assert.ok(!output.includes(user.password));
      const { relays, verdict, pings } = JSON.parse(output);
      const ways = relays.map((one: { target: { transport: string } }) => one.target.transport);
      assert.deepEqual([...new Set(ways)].sort(), ["tcp", "tls", "udp"]);
      for (const { state, figures, target } of relays) {
        assert.equal(state, "echoed", JSON.stringify(target));
        assert.deepEqual([figures.sent, figures.lost], [50, 0], JSON.stringify(target));
        assert.ok(figures.roundTrip.median > 0 && figures.roundTrip.p95 >= figures.roundTrip.median);
      }
      assert.ok(pings[0].figures.roundTrip.median > 0);
      assert.deepEqual([verdict.calls, verdict.relay, verdict.quality.over], ["direct", "works", "UDP"]);
    });

    test("right credentials in words, over TCP alone: through the relay", async () => {
      const uri = `turn:127.0.0.1:${options.port}?transport=tcp`;
      const { code, output } = await check([uri, "--user", user.name], { password: user.password });
      assert.equal(code, 0, output);
      assert.match(output, /credentials +accepted: relayed address 127\.0\.0\.1:\d+/);
      assert.match(output, /echo +50 packets like a voice call's/);
      assert.match(output, /loss +0 %; none out of order/);
      assert.match(output, /^Calls will work from here through the relay\.$/m);
    });

    test("wrong credentials: what is wrong is said once, with what to do, and the exit status is 2", async () => {
      const uris = [`turn:127.0.0.1:${options.port}?transport=tcp`, `turns:localhost:${options.tlsPort}`];
      const { code, output } = await check([...uris, "--user", user.name], { password: "looking glass" });
      assert.equal(code, 2, output);
      assert.ok(output.match(/credentials +refused: user name and password do not fit \(401\)/g)!.length >= 2, output);
      assert.match(output, /The relay 127\.0\.0\.1 over TCP: user name and password do not fit/);
      assert.match(output, /Correct the user name or the password/);
      assert.doesNotMatch(output, /Credentials were not tried/);
    });

    test("without credentials it says that they were not tried", async () => {
      const { code, output } = await check([`turn:127.0.0.1:${options.port}?transport=tcp`]);
      assert.equal(code, 0, output);
      assert.match(output, /Credentials were not tried/);
      assert.match(output, /if its credentials are good/);
    });

    test("over IPv6 as over IPv4", { skip: requireIpv6() }, async () => {
      const uri = `turn:[::1]:${options.port}?transport=tcp`;
      const { output } = await check(["--json", uri, "--user", user.name], { password: user.password });
      assert.equal(JSON.parse(output).relays[0].state, "echoed", output);
    });
  });
}

suite("time-limited credentials, and a server's limits", () => {
  const block = async (flags: readonly string[], ...args: readonly string[]) => {
    const child = await startChild(postern("credentials", "--json", ...args, ...flags), { env: environment });
    await child.ended();
    return child.output();
  };

  test("an iceServers block comes from standard input or from a file, as JSON or as JavaScript", async () => {
    await using daemon = await startDaemon();
    const { dataDir, ports } = daemon;
    const flags = [
      "--data-dir",
      dataDir,
      "--listen",
      "127.0.0.1",
      "--udp-port",
      `${ports.port}`,
      "--tcp-port",
      `${ports.port}`,
    ];
    const fromInput = await check(["--json", "--ice-servers", "-"], { input: await block(flags) });
    const { relays } = JSON.parse(fromInput.output);
    assert.deepEqual(
      relays.map(({ state }: { state: string }) => state),
      ["echoed", "echoed"],
      fromInput.output,
    );
    const file = join(directory, "ice.js");
    const pasted = (await block(flags)).replace(/[\s\S]*"iceServers": (\[[\s\S]*\])[\s\S]*/, "const iceServers = $1;");
    await writeFile(file, pasted.replace(/"(urls|username|credential)":/g, "$1:"));
    const fromFile = await check(["--ice-servers", file]);
    assert.equal(fromFile.code, 0, fromFile.output);
    assert.match(fromFile.output, /Relay over TCP/);
  });

  test("an iceServers block that names no server is a mistake, and says nothing of this network", async () => {
    const file = join(directory, "empty.json");
    for (const text of ["[]", '[{"urls":[]}]']) {
      await writeFile(file, text);
      const { code, output } = await check(["--ice-servers", file]);
      assert.equal(code, 1, output);
      assert.match(output, /Say which servers to ask/);
    }
  });

  test("where direct calls work and the relay refuses, the exit status is 2 all the same", async () => {
    await using daemon = await startDaemon({ listen: ["127.0.0.1", "127.0.0.2"] });
    const uris = ["127.0.0.1", "127.0.0.2"].map((host) => `stun:${host}:${daemon.ports.port}`);
    const uri = `turn:127.0.0.1:${daemon.ports.port}?transport=tcp`;
    const { code, output } = await check([...uris, uri, "--user", "mallory"], { password: "x" });
    assert.match(output, /^Most calls will work from here, directly; those that need the relay will not\.$/m);
    assert.equal(code, 2);
  });

  test("a certificate that nobody trusts: the relay behind it is tried, and counts for nothing", async () => {
    await using daemon = await startDaemon();
    const { username, credential } = JSON.parse(await block(["--data-dir", daemon.dataDir]));
    const args = ["--json", `turns:127.0.0.1:${daemon.ports.tlsPort}`, "--user", username];
    const { code, output } = await check(args, { password: credential });
    const { relays, verdict } = JSON.parse(output);
    assert.deepEqual([relays[0].state, verdict.calls, code], ["echoed", "no", 2], output);
  });

  test("credentials that have expired are told as such, and so is a limit that is reached", async () => {
    await using daemon = await startDaemon({ flags: ["--allocations-per-user", "1"] });
    const uri = `turn:127.0.0.1:${daemon.ports.port}?transport=tcp`;
    const old = await check([uri, "--user", "1700000000:bob"], { password: "whatever" });
    assert.match(old.output, /the credentials expired at 2023-11-14T22:13:20Z/);
    assert.match(old.output, /Fetch fresh credentials/);
    const { username, credential } = JSON.parse(await block(["--data-dir", daemon.dataDir], "--user", "bob"));
    const full = await check([uri, "--user", username], { password: credential });
    assert.equal(full.code, 2, full.output);
    assert.match(full.output, /all the allocations that it may have \(486\)/);
  });
});

suite("through an HTTP proxy", { skip: skipped }, () => {
  let options: RelayOptions;
  let relay: RelayUnderTest;
  let proxy: Server;
  before(async () => {
    options = await relayOptions();
    relay = await startPostern(options);
    proxy = createHttpServer();
    proxy.on("connect", (request, socket) => {
      const port = Number(/:(\d+)$/.exec(request.url ?? "")?.[1]);
      const onward = connectTcp(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        onward.pipe(socket).pipe(onward);
      });
      onward.on("error", () => socket.destroy());
      socket.on("error", () => onward.destroy());
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
  });
  after(async () => {
    proxy.close();
    await relay.stop();
  });

  test("where only the proxy knows the name, the relay is found through it, and that is what to tell an application", async () => {
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const uri = `turn:only-the-proxy.invalid:${options.port}`;
    const args = [uri, "--user", user.name];
    for (const [flags, env] of [
      [["--proxy", url], {}],
      [[], { https_proxy: url }],
    ] as const) {
      const { code, output } = await check([...args, ...flags], { password: user.password, env });
      assert.equal(code, 0, output);
      assert.match(output, /Relay over TCP through the proxy, only-the-proxy\.invalid:\d+\n +credentials +accepted/);
      assert.match(output, /only through the proxy the relay is reached/);
    }
    const env = { https_proxy: url };
    for (const without of [
      check([...args, "--no-proxy"], { password: "x", env }),
      check(args, { password: "x", env: { ...env, no_proxy: ".invalid" } }),
    ]) {
      assert.match((await without).output, /The DNS has no server/);
    }
  });

  test("beside the direct way the proxy is tried too, over TLS", async () => {
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const uri = `turns:localhost:${options.tlsPort}`;
    const { output } = await check(["--json", uri, "--user", user.name, "--proxy", url], { password: user.password });
    const found = JSON.parse(output).relays.map((one: { state: string; target: { throughProxy?: boolean } }) => {
      return `${one.target.throughProxy === true} ${one.state}`;
    });
    assert.ok(found.includes("true echoed") && found.includes("false echoed"), output);
  });
});

suite("Ctrl-C", { skip: skipped }, () => {
  test("ends a run at once and cleanly: no allocation is left, and the shell sees the signal", async () => {
    const options = await relayOptions();
    const relay = await startPostern(options);
    try {
      const uri = `turn:127.0.0.1:${options.port}?transport=tcp`;
      const child = await startChild(postern("check", uri, "--user", user.name, "--duration", "1h"), {
        env: { ...environment, POSTERN_CHECK_PASSWORD: user.password },
      });
      const held = () => relay.metric("postern_turn_allocations");
      await until("two allocations", async () => (await held()) === 2, { within: 60_000 });
      const { code } = await child.stop("SIGINT");
      assert.equal(code, 130, child.output());
      await until("no allocation", async () => (await held()) === 0);
    } finally {
      await relay.stop();
    }
  });
});
