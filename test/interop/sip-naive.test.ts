/**
 * What fails behind NATs, as it is drawn: a proxy that believes the addresses in messages, and phones whose sound goes
 * where descriptions say. Then the same networks with Postern.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NatName } from "../../src/lab/nats.ts";
import type { Passage } from "../../src/lab/passages.ts";
import { passagesOf } from "../../src/lab/passages.ts";
import type { Child } from "../support/child.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { Baresip } from "./sip/baresip.ts";
import { Office, serverHost } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, heardTenths, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "ip", "nft", "setpriv", "unshare", "nsenter");
const users = ["alice", "bob"];

function homes(nat: NatName) {
  return {
    outside: ["server", "naive"],
    sites: [
      { name: "home", hosts: ["alice"], gateways: [{ nat }] },
      { name: "office", hosts: ["bob"], gateways: [{ nat }] },
    ],
  };
}

async function startNaive(office: Office, answersTo: "via" | "source"): Promise<Child> {
  const script = new URL("sip/naive-proxy.ts", import.meta.url).pathname;
  const child = await office.start("naive", [process.execPath, script, office.network.addressOf("naive"), answersTo]);
  await until("the naive proxy", () => child.output().includes("ready"), { within: 60_000 });
  return child;
}

/** Two phones of the naive proxy, with the server's STUN for their sound where that is asked for. */
function naivePhones(office: Office, { stun = false, expires = 60 } = {}): Promise<[Baresip, Baresip]> {
  const server = `${office.network.addressOf("naive")}:5060`;
  const account = stun ? `medianat=stun;stunserver="stun:${serverHost}:${office.daemon.ports.port}"` : undefined;
  const common = { server, expires, ...(account === undefined ? {} : { account }) };
  return Promise.all([
    office.phone("alice", { user: "alice", tone: 440, ...common }),
    office.phone("bob", { user: "bob", tone: 1_000, ...common }),
  ]);
}

/** One that believes what STUN says, in its signaling too; it has asked. */
async function naivePhone(office: Office, user: string, ...callee: readonly string[]): Promise<Child> {
  const script = new URL("sip/naive-phone.ts", import.meta.url).pathname;
  const { network, daemon } = office;
  const servers = [`${network.addressOf("naive")}:5060`, serverHost, `${daemon.ports.port}`];
  const child = await office.start(user, [
    process.execPath,
    script,
    network.addressOf(user),
    user,
    ...servers,
    ...callee,
  ]);
  await until("the naive phone", () => child.output().includes("is "), { within: 60_000 });
  return child;
}

async function worksWithPostern(office: Office): Promise<void> {
  const [alice, bob] = await Promise.all([
    office.phone("alice", { user: "alice", tone: 440 }),
    office.phone("bob", { user: "bob", tone: 1_000 }),
  ]);
  await connect(alice, bob);
  await talk(alice, bob);
  await hangUp(bob, alice);
  await assertHeardOnly(alice, bob);
  await assertHeardOnly(bob, alice);
}

const packets = (all: readonly Passage[], isMeant: (one: Passage) => boolean) =>
  all.filter(isMeant).reduce((sum, one) => sum + one.packets, 0);
const isTo =
  (prefix: string) =>
  ({ destination }: Passage): boolean =>
    destination.startsWith(prefix);

describe("phones behind NATs, and a naive proxy", { skip, concurrency: 2 }, () => {
  test("L11: answers to the address in Via vanish; with Postern the phones call", async () => {
    await using office = await Office.open(homes("port-restricted cone"), { users });
    const naive = await startNaive(office, "via");
    const server = `${office.network.addressOf("naive")}:5060`;
    const alice = await office.phone("alice", { user: "alice", tone: 440, server }, "not awaited");
    // Its request comes, and is answered to 10.0.1.2, which is nobody on the internet.
    const answered = async () => packets(await passagesOf(office.network.at("naive")), isTo("10.0.1.2:5060"));
    await until("answers to the private address", async () => (await answered()) >= 2);
    const isAnswer = ({ direction, source }: Passage) => direction === "arrived" && source === server;
    assert.equal(packets(await passagesOf(office.network.at("home router")), isAnswer), 0);
    assert.equal(alice.isRegistered, false);
    await alice[Symbol.asyncDispose]();
    await naive.stop();
    await worksWithPostern(office);
  });

  test("L12: through cone NATs, addresses found by STUN carry the sound", async () => {
    await using office = await Office.open(homes("port-restricted cone"), { users });
    await startNaive(office, "source");
    const [alice, bob] = await naivePhones(office, { stun: true });
    await connect(alice, bob);
    await talk(alice, bob);
    await hangUp(bob, alice);
    await assertHeardOnly(alice, bob);
    await assertHeardOnly(bob, alice);
  });

  test("L12: put into Via and Contact too, they bring even the answers of a proxy that believes them", async () => {
    await using office = await Office.open(homes("port-restricted cone"), { users });
    await startNaive(office, "via");
    const bob = await naivePhone(office, "bob");
    await until("bob to be registered", () => bob.output().includes("REGISTER 200"));
    const alice = await naivePhone(office, "alice", "bob");
    for (const phone of [alice, bob]) await until("a second of sound", () => phone.output().includes("heard "));
    assert.match(alice.output(), /INVITE 200/);
    assert.match(bob.output(), /got ACK/);
    // Each speaks to, and hears from, just where the other has found itself to be.
    const [, placeOfAlice] = /is \S+ (\S+)/.exec(alice.output()) ?? [];
    assert.ok(placeOfAlice);
    assert.ok(bob.output().includes(`speaks ${placeOfAlice}`));
    assert.ok(bob.output().includes(`heard ${placeOfAlice}`));
  });

  test("L13: behind symmetric NATs such answers come to a mapping that is not the proxy's, and are not let in", async () => {
    await using office = await Office.open(homes("symmetric, random"), { users });
    await startNaive(office, "via");
    const alice = await naivePhone(office, "alice", "bob");
    const [, place = ""] = /is (\S+)/.exec(alice.output()) ?? [];
    const isAnswer = ({ direction, source, destination }: Passage) => {
      return direction === "arrived" && source === `${office.network.addressOf("naive")}:5060` && destination === place;
    };
    const arrived = async () => packets(await passagesOf(office.network.at("home router")), isAnswer);
    await until("answers at the router", async () => (await arrived()) >= 3, { within: 60_000 });
    assert.doesNotMatch(alice.output(), /REGISTER 200/);
  });

  test("L10: without STUN the private addresses in descriptions carry nothing", async () => {
    await using office = await Office.open(homes("port-restricted cone"), { users });
    await startNaive(office, "source");
    const [alice, bob] = await naivePhones(office);
    await connect(alice, bob);
    const lost = async () => packets(await passagesOf(office.network.at("alice")), isTo("10.0.2.2:"));
    await until("a second of sound to an address of bob's home", async () => (await lost()) > 50);
    assert.deepEqual([await heardTenths(alice), await heardTenths(bob)], [0, 0]);
  });

  test("L13: through symmetric NATs, STUN's address is that of another mapping; with Postern the phones call", async () => {
    await using office = await Office.open(homes("symmetric, random"), { users });
    const naive = await startNaive(office, "source");
    const [alice, bob] = await naivePhones(office, { stun: true });
    await connect(alice, bob);
    // Sound comes to the address that STUN found, from a mapping that STUN has not seen, and is not let in.
    const outsideOf = (site: string) => office.network.plan.gateways.find((one) => one.site === site)?.outside;
    const arrived = async () => {
      const isSound = isBetween(outsideOf("home")!, outsideOf("office")!);
      return packets(await passagesOf(office.network.at("office router")), isSound);
    };
    await until("a second of sound at bob's router", async () => (await arrived()) > 50);
    assert.deepEqual([await heardTenths(alice), await heardTenths(bob)], [0, 0]);
    for (const phone of [alice, bob]) await phone[Symbol.asyncDispose]();
    await naive.stop();
    await worksWithPostern(office);
  });
});

function isBetween(host: string, to: string) {
  return ({ direction, source, destination }: Passage): boolean =>
    direction === "arrived" && source.startsWith(`${host}:`) && destination.startsWith(`${to}:`);
}
