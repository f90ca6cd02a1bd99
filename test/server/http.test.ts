import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIp } from "../../src/core/base/address.ts";
import { PosternError } from "../../src/core/base/failure.ts";
import { DgramDatapath } from "../../src/node/datapath/dgram.ts";
import { Secret } from "../../src/node/secret.ts";
import { TurnHost } from "../../src/node/turn-host.ts";
import type { HttpAppOptions, IssuedCredentials } from "../../src/server/http/app.ts";
import { type HttpServer, serveHttp } from "../../src/server/http/server.ts";
import { baseConfig } from "../core/turn/server/world.ts";

const loopback = parseIp("127.0.0.1") as never;

function issue(user: string | undefined, ttl: number | undefined): IssuedCredentials {
  return { username: `99:${user ?? ""}`, credential: "c", ttl: ttl ?? 60, urls: ["turn:192.0.2.1:3478"] };
}

async function serve(options: Partial<HttpAppOptions> = {}): Promise<AsyncDisposable & { url: string }> {
  const host = new TurnHost({ config: baseConfig, datapath: new DgramDatapath() });
  const server: HttpServer = await serveHttp(loopback, {
    token: () => new Secret("token-1"),
    turn: host,
    isDraining: () => false,
    version: "1.2.3",
    issue,
    maxTtl: 3600,
    guardMetrics: false,
    ...options,
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    async [Symbol.asyncDispose]() {
      await server.close();
      await host.close();
    },
  };
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

test("/healthz is 200 while serving and 503 while draining", async () => {
  let draining = false;
  await using http = await serve({ isDraining: () => draining });
  const well = await fetch(`${http.url}/healthz`);
  assert.equal(well.status, 200);
  assert.deepEqual(await well.json(), { status: "ok", version: "1.2.3", allocations: 0 });
  draining = true;
  assert.equal((await fetch(`${http.url}/healthz`)).status, 503);
});

test("/metrics has the server's numbers in Prometheus' form, and the same twice", async () => {
  await using http = await serve();
  const scrape = async () => {
    const response = await fetch(`${http.url}/metrics`);
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    return await response.text();
  };
  for (const text of [await scrape(), await scrape()]) {
    assert.match(text, /^postern_turn_allocations 0$/m);
    // Nobody asked for offload.
    assert.doesNotMatch(text, /^postern_offload_up /m);
    assert.match(text, /^postern_turn_drops_total\{reason="no-permission"\} 0$/m);
    assert.match(text, /^process_resident_memory_bytes \d+$/m);
  }
});

test("/metrics wants the token too where other machines reach the port", async () => {
  await using http = await serve({ guardMetrics: true });
  assert.equal((await fetch(`${http.url}/metrics`)).status, 401);
  assert.equal((await fetch(`${http.url}/metrics`, bearer("token-1"))).status, 200);
  assert.equal((await fetch(`${http.url}/healthz`)).status, 200);
});

test("/credentials wants the token, and tells nothing without it", async () => {
  await using http = await serve();
  for (const init of [{}, bearer("token-2"), bearer(""), { headers: { authorization: "Basic token-1" } }]) {
    const refused = await fetch(`${http.url}/credentials`, init);
    assert.equal(refused.status, 401);
    assert.equal((await refused.text()).includes("credential"), false);
  }
  const granted = await fetch(`${http.url}/credentials?user=bob&ttl=90`, bearer("token-1"));
  assert.equal(granted.headers.get("cache-control"), "no-store");
  const urls = ["turn:192.0.2.1:3478"];
  const username = "99:bob";
  assert.deepEqual(await granted.json(), {
    username,
    credential: "c",
    ttl: 90,
    urls,
    iceServers: [{ urls, username, credential: "c" }],
  });
});

test("/credentials takes a JSON body, and says what is wrong with a wish", async () => {
  await using http = await serve();
  const post = (body: string) =>
    fetch(`${http.url}/credentials`, {
      method: "POST",
      body,
      headers: { ...bearer("token-1").headers, "content-type": "application/json" },
    });
  assert.equal(((await (await post('{"user":"eve","ttl":5}')).json()) as { username: string }).username, "99:eve");
  for (const bad of [
    '{"usr":"bob"}',
    '{"user":"a:b"}',
    '{"user":7}',
    '{"ttl":0}',
    '{"ttl":3601}',
    '{"ttl":"x"}',
    "[]",
    "{",
  ]) {
    const refused = await post(bad);
    assert.equal(refused.status, 400, bad);
    assert.match(((await refused.json()) as { error: string }).error, /must be/);
  }
  assert.equal((await post(`{"user":"${"x".repeat(5000)}"}`)).status, 413);
});

test("/credentials has nothing to issue without a shared secret", async () => {
  await using http = await serve({ issue: () => undefined });
  assert.equal((await fetch(`${http.url}/credentials`, bearer("token-1"))).status, 404);
});

test("wrong tokens are throttled", async () => {
  await using http = await serve();
  let last = 0;
  for (let i = 0; i < 130; i++) last = (await fetch(`${http.url}/credentials`, bearer("x"))).status;
  assert.equal(last, 429);
  assert.equal((await fetch(`${http.url}/credentials`, bearer("token-1"))).status, 200, "the right one never is");
});

test("a taken HTTP port is said with what to do", async () => {
  await using http = await serve();
  const port = Number(new URL(http.url).port);
  const options = {
    token: () => new Secret("t"),
    isDraining: () => false,
    version: "",
    issue,
    maxTtl: 1,
    guardMetrics: false,
  };
  const host = new TurnHost({ config: baseConfig, datapath: new DgramDatapath() });
  await assert.rejects(
    serveHttp({ ...(loopback as object), port } as never, { ...options, turn: host }),
    (error) => error instanceof PosternError && error.code === "http-busy" && /--http/.test(error.message),
  );
  await host.close();
});
