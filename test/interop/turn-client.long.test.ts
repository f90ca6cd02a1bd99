/**
 * Eleven real minutes of traffic both ways through coturn and through Postern: over UDP, TCP and TLS, to one peer by
 * permission alone and to another on a channel, and nothing is lost. Beside it run allocations that nobody refreshes:
 * they go deaf when the RFC says, which proves that the others lived by being refreshed.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Address, formatAddress, formatIp } from "../../src/core/base/address.ts";
import type { TurnClientEvent } from "../../src/core/turn/client/outputs.ts";
import { parsePeer } from "../../src/node/turn-client/peer.ts";
import { TurnAllocation } from "../../src/node/turn-client/turn-allocation.ts";
import { startCoturn } from "../support/coturn.ts";
import { requireLong, requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";
import type { RelayOptions, RelayUnderTest } from "../support/relay-under-test.ts";
import { makeTestCertificates, type TestCertificates } from "../support/test-ca.ts";
import { Refused, TurnClient } from "../support/turn-client.ts";
import { startPeer, type TurnPeer } from "../support/turn-peers.ts";
import { until } from "../support/until.ts";

const skip = requireLong(11) || requirePeer("openssl", "turnserver");
const seconds = 660;
const everyMs = 200;
const user = { name: "alice", password: "wonderland" };
/** How long after the RFC's lifetimes a server may still know; it looks at its clock once in a while. */
const slackSeconds = 10;

let directory: string | undefined;
let certificate: TestCertificates;
before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), "postern-long-"));
  certificate = await makeTestCertificates(directory);
});
after(() => (directory === undefined ? undefined : rm(directory, { recursive: true })));

const placeOf = (address: Readonly<Address>) => ({ host: formatIp(address), port: address.port });

/** Whatever was said once has been heard once. */
function assertAllHeard(what: string, heard: readonly string[], said: number): void {
  const numbers = new Set(heard);
  const missing = Array.from({ length: said }, (_, i) => i).filter((i) => !numbers.has(`${i}`));
  assert.deepEqual(missing, [], `${what}: these of ${said} are missing`);
  assert.equal(heard.length, said, `${what}: some came twice`);
}

/** Five packets a second each way to each of two peers, one on a channel, through one allocation. */
async function converse(url: string, ca: string): Promise<string> {
  const [byPermission, byChannel] = [await startPeer(), await startPeer({ host: "127.0.0.3" })];
  const peers: readonly TurnPeer[] = [byPermission, byChannel];
  const heard = new Map(peers.map(({ address }) => [address, [] as string[]]));
  const events: TurnClientEvent[] = [];
  await using relay = await TurnAllocation.open({ url, username: user.name, credential: user.password, tls: { ca } });
  relay.onData = (data, from) => void heard.get(formatAddress(from))?.push(`${Buffer.from(data)}`);
  relay.onEvent = (event) => void events.push(event);
  await relay.permit(byPermission.address);
  await relay.bind(byChannel.address);
  const place = placeOf(relay.relayed[0] as Address);
  const start = performance.now();
  let said = 0;
  for (; performance.now() - start < seconds * 1000; said++) {
    for (const peer of peers) {
      assert.ok(relay.send(peer.address, Buffer.from(`${said}`)), `${url}: sent after ${said}`);
      peer.say(`${said}`, place);
    }
    await delay(Math.max(0, start + (said + 1) * everyMs - performance.now()));
  }
  const all = () => peers.every((peer) => peer.heard.length >= said && (heard.get(peer.address)?.length ?? 0) >= said);
  await until("the last packets", all).catch(() => {});
  for (const peer of peers) {
    assertAllHeard(`${url}, what ${peer.address} heard`, peer.heard, said);
    assertAllHeard(`${url}, what came from ${peer.address}`, heard.get(peer.address) ?? [], said);
    peer.close();
  }
  assert.deepEqual(
    events.filter(({ type }) => type !== "permission" && type !== "channel"),
    [],
    "nothing happened to the allocation",
  );
  return `${url.split("?")[1] ?? "tls"}: ${4 * said} packets, none lost`;
}

interface Control {
  readonly client: TurnClient;
  readonly peer: TurnPeer;
  readonly place: { readonly host: string; readonly port: number };
  /** By what `peer` said how the client heard it: on a channel, in an indication. */
  readonly heard: Map<string, "channel" | "indication">;
}

async function startControl(port: number, lifetime: number): Promise<Control> {
  const client = await TurnClient.connect({ port, username: user.name, password: user.password });
  const { relayed } = await client.allocate({ lifetime });
  const peer = await startPeer();
  await client.permit(parsePeer(peer.address));
  const heard: Control["heard"] = new Map();
  void (async () => {
    while (!client.isClosed) {
      const received = await client.receive({ within: 1_000 }).catch(() => undefined);
      if (received === undefined) continue;
      heard.set(`${Buffer.from(received.data)}`, received.channel === undefined ? "indication" : "channel");
    }
  })();
  return { client, peer, place: placeOf(relayed[0] as Address), heard };
}

/** Says `text` each way until it has come, or for two seconds; who heard it. */
async function probe({ client, peer, place, heard }: Control, text: string, channel: number | undefined) {
  const isHeard = () => heard.has(text) && peer.heard.includes(text);
  const speak = () => {
    if (channel === undefined) client.send(parsePeer(peer.address), Buffer.from(text));
    else client.sendOnChannel(channel, Buffer.from(text));
    peer.say(text, place);
    return isHeard();
  };
  await until("both to hear", speak, { within: 2_000 }).catch(() => {});
  return { client: heard.get(text), peer: peer.heard.includes(text) };
}

const sleepUntil = (start: number, at: number) => delay(Math.max(0, start + at * 1000 - performance.now()));

/** A permission that nobody refreshes, in an allocation that lives on. */
async function watchPermission(port: number): Promise<void> {
  const start = performance.now();
  const control = await startControl(port, 1800);
  await sleepUntil(start, 290);
  assert.deepEqual(await probe(control, "at 290 s", undefined), { client: "indication", peer: true });
  await sleepUntil(start, 300 + slackSeconds);
  assert.deepEqual(await probe(control, "past 300 s", undefined), { client: undefined, peer: false });
  assert.ok((await control.client.refresh(600)) > 0, "the allocation is there all the same");
  control.peer.close();
  await control.client.close();
}

/** A channel that nobody refreshes, while its permission is. */
async function watchChannel(port: number): Promise<void> {
  const start = performance.now();
  const control = await startControl(port, 1800);
  const address = parsePeer(control.peer.address);
  await control.client.bindChannel(0x4000, address);
  for (const at of [200, 400, 580]) {
    await sleepUntil(start, at);
    await control.client.permit(address);
  }
  assert.deepEqual(await probe(control, "at 580 s", 0x4000), { client: "channel", peer: true });
  await sleepUntil(start, 600 + slackSeconds);
  assert.deepEqual(await probe(control, "past 600 s", 0x4000), { client: "indication", peer: false });
  control.peer.close();
  await control.client.close();
}

/** An allocation that nobody refreshes. */
async function watchAllocation(port: number): Promise<void> {
  const start = performance.now();
  const control = await startControl(port, 600);
  await sleepUntil(start, 590);
  await control.client.permit(parsePeer(control.peer.address));
  await sleepUntil(start, 600 + slackSeconds);
  await assert.rejects(control.client.refresh(600), (error) => error instanceof Refused && error.code === 437);
  control.peer.close();
  await control.client.close();
}

const starters = { postern: startPostern, coturn: startCoturn };
suite("eleven real minutes", { concurrency: true }, () => {
  for (const [name, start] of Object.entries(starters)) {
    suite(name, { concurrency: true }, () => {
      let relay: RelayUnderTest | undefined;
      let options: RelayOptions;
      before(async () => {
        if (skip !== false) return;
        options = {
          user,
          relayPorts: await freePortRange(64),
          allowPeers: ["127.0.0.0/8"],
          certificate,
          port: await freePort(),
          tlsPort: await freePort(),
        };
        relay = await start(options);
      });
      after(() => relay?.stop());

      for (const transport of ["udp", "tcp", "tls"]) {
        test(`${transport}: nothing is lost in either direction, by permission and on a channel`, {
          skip,
        }, async (t) => {
          const ca = await readFile(certificate.ca, "utf8");
          const { port, tlsPort } = options;
          const url =
            transport === "tls" ? `turns:localhost:${tlsPort}` : `turn:127.0.0.1:${port}?transport=${transport}`;
          t.diagnostic(`${name}, ${await converse(url, ca)}`);
        });
      }
      test("RFC 8656 §9: a permission that nobody refreshes ends after 300 s", { skip }, () =>
        watchPermission(options.port),
      );
      test("RFC 8656 §12: a channel that nobody refreshes ends after 600 s", { skip }, () =>
        watchChannel(options.port),
      );
      test("RFC 8656 §8: an allocation that nobody refreshes ends after 600 s", { skip }, () =>
        watchAllocation(options.port),
      );
    });
  }
});
