/** The examples compile and run against the package as a user has it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { cp, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { type Child, runChild, startChild } from "../support/child.ts";
import { type Installed, installPackage } from "../support/installed.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

suite("examples", () => {
  let user: Installed;
  before(async () => {
    user = await installPackage();
    await cp(join(root, "examples"), user.project, { recursive: true });
    await symlink(join(root, "node_modules/@types"), join(user.project, "node_modules/@types"));
    await symlink(join(root, "node_modules/undici-types"), join(user.project, "node_modules/undici-types"));
  });
  after(() => user[Symbol.asyncDispose]());

  test("compile with a user's compiler settings", async () => {
    const compilerOptions = {
      strict: true,
      module: "nodenext",
      noEmit: true,
      types: ["node"],
      erasableSyntaxOnly: true,
    };
    await writeFile(join(user.project, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    await run(join(root, "node_modules/.bin/tsc"), ["-p", "."], { cwd: user.project }).catch(({ stdout }) =>
      assert.fail(stdout),
    );
  });

  const example = (name: string, ...args: readonly (string | number)[]) => [
    process.execPath,
    join(user.project, name),
    ...args.map(String),
  ];

  test("embed-turn serves credentials and TURN; stun-binding asks it for the address", async () => {
    const [port, web] = [await freePort(), await freePort()];
    const env = { ...user.env, TURN_PORT: String(port), PORT: String(web), TURN_DATA: join(user.home, "embedded") };
    const program = await startChild(example("embed-turn.ts"), { cwd: user.project, env });
    try {
      await until("the web server", () => program.output().includes("gives iceServers"), { within: 60_000 });
      const { iceServers } = (await (await fetch(`http://127.0.0.1:${web}/`)).json()) as {
        iceServers: { urls: string[]; username: string }[];
      };
      assert.match(iceServers[0]?.username ?? "", /^\d+:visitor$/);
      assert.ok(iceServers[0]?.urls.some((url) => url.startsWith("turn:") && url.includes(`:${port}`)));
      const [host = ""] = /(?<=stun:)[\d.]+/.exec(iceServers[0]?.urls.join(" ") ?? "") ?? [];
      assert.match(await runChild(example("stun-binding.ts", host, port)), /^\d+\.\d+\.\d+\.\d+:\d+\n$/);
    } finally {
      assert.deepEqual(await program.stop(), { code: 0, signal: null }, program.output());
    }
  });

  test("relay-echo sends back what its peer sends to the relayed address", async () => {
    const [port, peer] = [await freePort(), createSocket("udp4")];
    const bin = join(user.project, "node_modules/.bin/postern");
    const own = ["--listen", "127.0.0.1", "--udp-port", port, "--tcp-port", port, "--tls-port", "off"];
    const more = ["--http-listen", "off", "--allow-peers", "127.0.0.2/32", "--data-dir", join(user.home, "relaying")];
    const server = await startChild([process.execPath, bin, "serve", ...[...own, ...more].map(String)], {
      env: user.env,
    });
    try {
      peer.bind(0, "127.0.0.2");
      await once(peer, "listening");
      const [, username = "", credential = ""] = await until(
        "the greeting",
        () => /username: "(.+)",\s+credential: "(.+)"/.exec(server.output()),
        { within: 60_000 },
      );
      const at = `127.0.0.2:${peer.address().port}`;
      const program = await startChild(example("relay-echo.ts", `turn:127.0.0.1:${port}`, username, credential, at), {
        cwd: user.project,
        env: user.env,
      });
      const [, host = "", relayed = ""] = await until("the relayed address", () =>
        /relayed at ([\d.]+):(\d+)/.exec(program.output()),
      );
      let echo = "";
      peer.on("message", (data) => (echo = String(data)));
      await until("the echo", () => {
        peer.send("hello", Number(relayed), host);
        return echo === "hello";
      });
      assert.deepEqual(await program.stop(), { code: 0, signal: null }, program.output());
      assert.match(program.output(), /closed, as asked for/);
    } finally {
      peer.close();
      await server.stop();
    }
  });

  test("ice-connection connects two programs that were each given the other's line", async () => {
    const env = { ...user.env, ICE_INTERFACES: "lo" };
    const start = () => startChild(example("ice-connection.ts"), { cwd: user.project, env, holdInput: true });
    const [alice, bob] = [await start(), await start()];
    try {
      const described = (program: Child) => until("the description", () => /^"a=ice-.*"$/m.exec(program.output())?.[0]);
      const [alices, bobs] = [await described(alice), await described(bob)];
      alice.write(`${bobs}\n`);
      bob.write(`${alices}\n`);
      await until("both to connect", () =>
        [alice, bob].every(({ output }) => /^connected to \S+:\d+$/m.test(output())),
      );
      alice.write("good morning\n");
      await until("the line to come", () => bob.output().includes("peer: good morning"));
      assert.match(alice.output(), /^direct, because: /m);
      for (const program of [alice, bob]) program.closeInput();
      for (const program of [alice, bob]) assert.deepEqual(await program.ended(), { code: 0, signal: null });
    } finally {
      await Promise.all([alice.stop(), bob.stop()]);
    }
  });

  test("natlab tells how Alice is seen, and is what its page shows", async () => {
    assert.match(await runChild(example("natlab.ts")), /^4\d ms: seen as 203\.0\.113\.1:5000\n$/);
    const body = readFileSync(join(root, "examples/natlab.ts"), "utf8").replace(/^.*?(?=const world)/s, "");
    assert.ok(readFileSync(join(root, "docs/natlab.md"), "utf8").includes(body));
  });

  test("natlab-fallback gets out of a strict office by TLS alone", async () => {
    const lines = (await runChild(example("natlab-fallback.ts"))).split("\n");
    assert.deepEqual(lines, [
      "UDP: nothing, 1 packet dropped",
      "TCP: reset after 44 ms",
      "TLS: answered after 126 ms",
      "",
    ]);
  });

  test("webrtc-credentials fetches iceServers from a running Postern", async () => {
    const [port, http] = [await freePort(), await freePort()];
    const bin = join(user.project, "node_modules/.bin/postern");
    const own = ["--listen", "127.0.0.1", "--udp-port", port, "--tcp-port", port, "--tls-port", "off"];
    const flags = [...own, "--http-listen", `127.0.0.1:${http}`, "--data-dir", join(user.home, "served")];
    const server = await startChild([process.execPath, bin, "serve", ...flags.map(String)], { env: user.env });
    try {
      const token = await until("the token", () => readFileSync(join(user.home, "served/http-token"), "utf8").trim());
      await until("the endpoint", () => fetch(`http://127.0.0.1:${http}/healthz`), { within: 60_000 });
      const env = { ...user.env, POSTERN_TOKEN: token, POSTERN_URL: `http://127.0.0.1:${http}` };
      const { iceServers, ttl } = JSON.parse(await runChild(example("webrtc-credentials.ts", "bob"), { env }));
      assert.equal(ttl, 3600);
      assert.match(iceServers[0].username, /^\d+:bob$/);
      assert.ok(iceServers[0].urls.includes(`turn:127.0.0.1:${port}`), iceServers[0].urls);
    } finally {
      await server.stop();
    }
  });
});
