/** Trunks found by a real name server, over real UDP, TCP and TLS. */
import assert from "node:assert/strict";
import { mkdtempDisposable, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Trunk } from "../../../src/core/edge/config.ts";
import { MALFORMED } from "../../../src/core/sip/message/characters.ts";
import { isSipUri, parseUri } from "../../../src/core/sip/message/uri.ts";
import type { SipHostOptions } from "../../../src/node/sip/sip-host.ts";
import { NameServer, type NameZone } from "../../support/name-server.ts";
import { freePort } from "../../support/ports.ts";
import type { SipPhone } from "../../support/sip-phone.ts";
import { type ProviderCertificate, SipProvider } from "../../support/sip-provider.ts";
import { makeTestCertificates } from "../../support/test-ca.ts";
import { until } from "../../support/until.ts";
import { edgeConfig, SipHostUnderTest } from "./host-under-test.ts";

const [ip, otherIp] = ["127.0.0.21", "127.0.0.22"];
const number = "+4930123";

function trunk(uriText: string): Trunk {
  const uri = parseUri(uriText);
  assert.ok(uri !== MALFORMED && isSipUri(uri));
  const target = { uri, serverName: uri.host, isMediaThere: true };
  return { name: "provider", sources: [], media: [], target, host: uri.host, prefixes: ["+"], users: "all" };
}

class Scene implements AsyncDisposable {
  readonly edge: SipHostUnderTest;
  readonly alice: SipPhone;
  readonly #names: NameServer;

  private constructor(edge: SipHostUnderTest, alice: SipPhone, names: NameServer) {
    this.edge = edge;
    this.alice = alice;
    this.#names = names;
  }

  static async open(uri: string, zone: NameZone, options: Partial<SipHostOptions> = {}): Promise<Scene> {
    const names = await NameServer.open(zone);
    const resolved: string[] = [];
    const note = (_fields: object, event: string): void => void resolved.push(event);
    const log = { trace: note, debug: note, info: note, warn: note, error: note };
    const config = { ...(await edgeConfig()), trunks: [trunk(uri)] };
    const edge = await SipHostUnderTest.open({ config, nameServers: [names.at], log, ...options });
    await until("the name", () => resolved.includes("trunk-name-resolved"));
    const alice = await edge.phone("alice", 2);
    assert.equal((await alice.register()).status, 200);
    return new Scene(edge, alice, names);
  }

  /** Calls, and acknowledges what was answered. */
  async call(more = "") {
    const invite = this.alice.invitation(number);
    if (more !== "") invite.setBody(`${this.alice.sdp}${more}`, "application/sdp");
    const answer = await this.alice.ask(invite);
    assert.equal(answer.status, 200, answer.format());
    this.alice.send(this.alice.within(answer, "ACK"));
    return answer;
  }

  get failures(): string[] {
    return this.edge.events.flatMap((event) => (event.type === "trunk-failed" ? [event.why] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.alice[Symbol.asyncDispose]();
    await this.edge[Symbol.asyncDispose]();
    await this.#names[Symbol.asyncDispose]();
  }
}

async function certificate(names: string): Promise<ProviderCertificate & { readonly ca: string }> {
  await using directory = await mkdtempDisposable(join(tmpdir(), "postern-trunk-"));
  const files = await makeTestCertificates(directory.path, names);
  const [ca, cert, key] = await Promise.all([readFile(files.ca, "utf8"), readFile(files.cert), readFile(files.key)]);
  return { ca, cert, key };
}

test("RFC 3263 §4.2: SRV leads a call to the server that is there when the first is not", async () => {
  const port = await freePort();
  await using provider = new SipProvider(otherIp);
  await provider.listenStream(port);
  await using scene = await Scene.open("sip:p.example;transport=tcp", {
    "SRV _sip._tcp.p.example": [`10 0 ${port} a.p.example`, `20 0 ${port} b.p.example`],
    "A a.p.example": [ip],
    "A b.p.example": [otherIp],
  });
  await scene.call();
  const { request, over } = await provider.got("INVITE");
  assert.deepEqual([over, request.uriText], ["tcp", `sip:${number}@p.example;transport=tcp`]);
  assert.deepEqual(scene.failures, ["transport"]);
});

test("RFC 5922 §7.2: a certificate bears the name that was looked up, or the next server is tried", async () => {
  const [ports, good, bad] = await Promise.all([
    Promise.all([freePort(), freePort()]),
    certificate("DNS:p.example"),
    certificate(`DNS:a.p.example,IP:${ip}`),
  ]);
  await using wrong = new SipProvider(ip);
  await using right = new SipProvider(otherIp);
  await wrong.listenStream(ports[0], bad);
  await right.listenStream(ports[1], good);
  const zone = {
    "NAPTR p.example": ["1 1 s SIPS+D2T _sips._tcp.p.example"],
    "SRV _sips._tcp.p.example": [`10 0 ${ports[0]} a.p.example`, `20 0 ${ports[1]} b.p.example`],
    "A a.p.example": [ip],
    "A b.p.example": [otherIp],
  };
  await using scene = await Scene.open("sip:p.example", zone, { authorities: [good.ca, bad.ca] });
  const answer = await scene.call();
  assert.equal((await scene.alice.ask(scene.alice.within(answer, "BYE"))).status, 200);
  assert.deepEqual(
    right.received.map(({ request, connection }) => `${request.method} ${connection}`),
    ["INVITE 1", "ACK 1", "BYE 1"],
    "one connection carries the whole call",
  );
  assert.deepEqual([wrong.received, scene.failures], [[], ["transport"]]);
});

test("a connection that the provider has closed is opened anew within the call", async () => {
  const port = await freePort();
  await using provider = new SipProvider(ip);
  await provider.listenStream(port);
  await using scene = await Scene.open(`sip:p.example:${port};transport=tcp`, { "A p.example": [ip] });
  const answer = await scene.call();
  await provider.got("ACK");
  provider.connections[0]?.end();
  await until("its end", () => scene.edge.host.stats.sockets.connections.open === 0);
  assert.equal((await scene.alice.ask(scene.alice.within(answer, "BYE"))).status, 200);
  assert.equal((await provider.got("BYE")).connection, 2);
});

const padding = Array.from({ length: 30 }, (_, n) => `a=x-padding:${n} ${"x".repeat(40)}\r\n`).join("");

test("RFC 3261 §18.1.1: a long request goes over TCP, a short one by UDP", async () => {
  const port = await freePort();
  await using provider = new SipProvider(ip);
  await Promise.all([provider.listenUdp(port), provider.listenStream(port)]);
  await using scene = await Scene.open(`sip:p.example:${port}`, { "A p.example": [ip] });
  await scene.call(padding);
  assert.deepEqual(provider.received.map(({ request, over }) => [request.method, over]).slice(0, 1), [
    ["INVITE", "tcp"],
  ]);
  assert.equal((await provider.got("ACK")).over, "udp");
});

test("RFC 3261 §18.1.1: and by UDP where TCP is refused, in pieces", async () => {
  const port = await freePort();
  await using provider = new SipProvider(ip);
  await provider.listenUdp(port);
  await using scene = await Scene.open(`sip:p.example:${port}`, { "A p.example": [ip] });
  await scene.call(padding);
  const { request, over } = await provider.got("INVITE");
  assert.deepEqual([over, request.via.transport, request.format().length > 1_500], ["udp", "UDP", true]);
  assert.deepEqual(scene.failures, []);
});

test("RFC 3263 §4.3: 503 leads to the next server, and the first is asked last by the next call", async () => {
  const port = await freePort();
  await using full = new SipProvider(ip, 503);
  await using free = new SipProvider(otherIp);
  await Promise.all([full.listenUdp(port), free.listenUdp(port)]);
  await using scene = await Scene.open("sip:p.example", {
    "SRV _sip._udp.p.example": [`10 0 ${port} a.p.example`, `20 0 ${port} b.p.example`],
    "A a.p.example": [ip],
    "A b.p.example": [otherIp],
  });
  const calls = ({ received }: SipProvider) => received.filter(({ request }) => request.method === "INVITE").length;
  await scene.call();
  await scene.call();
  assert.deepEqual([calls(full), calls(free)], [1, 2]);
});
