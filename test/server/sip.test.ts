/** SIP in the daemon: phones that register with it, and what a restart leaves of them. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pino } from "pino";
import { parseIp } from "../../src/core/base/address.ts";
import { loadConfig } from "../../src/server/config/load.ts";
import { Daemon } from "../../src/server/daemon.ts";
import { LocationStore } from "../../src/server/services/sip/location-store.ts";
import { UserStore } from "../../src/server/users/user-store.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { mediaOf, SipPhone } from "../support/sip-phone.ts";
import { until } from "../support/until.ts";

const DOMAIN = "example.org";
const root = mkdtempSync(join(tmpdir(), "postern-sip-"));
after(() => rmSync(root, { recursive: true }));

interface Place {
  readonly dataDir: string;
  readonly sipPort: number;
  readonly flags: Readonly<Record<string, unknown>>;
}

async function place(): Promise<Place> {
  const dataDir = mkdtempSync(join(root, "data-"));
  const [relay, media] = [await freePortRange(16), await freePortRange(16)];
  const sipPort = await freePort();
  const flags = {
    ...{ dataDir, listen: ["127.0.0.1"], httpListen: "off", tlsPort: "off", sipsPort: "off" },
    ...{ udpPort: `${await freePort()}`, tcpPort: "off", relayPorts: `${relay.low}-${relay.high}` },
    ...{ sipDomain: DOMAIN, sipPort: `${sipPort}`, mediaPorts: `${media.low}-${media.high}` },
  };
  return { dataDir, sipPort, flags };
}

async function start({ flags }: Place) {
  const sources = { flags: { ...flags }, env: {} };
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const log = pino({ level: "debug", messageKey: "event" }, { write });
  const loaded = await loadConfig(sources);
  const daemon = await Daemon.start({ loaded, reload: () => loadConfig(sources), log, version: "0" });
  const logged = (event: string) => lines.filter((line) => line["event"] === event);
  /** Changes options, as in the file, and has them taken over. */
  const change = (changed: Readonly<Record<string, unknown>>): Promise<void> => {
    Object.assign(sources.flags, changed);
    return daemon.reload("signal");
  };
  return { daemon, logged, change, [Symbol.asyncDispose]: () => daemon.close() };
}

function addUser({ dataDir }: Place, name: string, { sip = true } = {}): void {
  using users = UserStore.open(join(dataDir, "users.db"));
  users.setPassword(name, `secret of ${name}`, ["postern"], 1, sip ? DOMAIN : undefined);
}

function phone({ sipPort }: Place, user: string, last: number): Promise<SipPhone> {
  const server = parseIp("127.0.0.1", sipPort) ?? assert.fail();
  return SipPhone.open({ user, domain: DOMAIN, password: `secret of ${user}` }, `127.0.0.${last}`, server);
}

test("phones of two users register and call each other", async () => {
  const here = await place();
  await using running = await start(here);
  for (const name of ["1001", "bob"]) addUser(here, name);
  await using alice = await phone(here, "1001", 2);
  await using bob = await phone(here, "bob", 3);
  for (const one of [alice, bob]) assert.equal((await one.register()).status, 200);
  const { answer } = await alice.call(bob);
  alice.speak(answer.body, 1);
  await until("voice", () => bob.heard.length > 0);
  const bye = alice.ask(alice.within(answer, "BYE"));
  bob.accept(await bob.request("BYE"));
  assert.equal((await bye).status, 200);
  const [ended] = running.logged("call-ended");
  assert.deepEqual([ended?.["end"], ended?.["caller"]], ["hung up by caller", "1001"]);
});

test("a user who was not added with --sip registers no phone", async () => {
  const here = await place();
  await using running = await start(here);
  addUser(here, "carol", { sip: false });
  await using carol = await phone(here, "carol", 2);
  assert.equal((await carol.register()).status, 401);
  const [told] = running.logged("wrong-password");
  assert.deepEqual([told?.["method"], told?.["user"]], ["REGISTER", "carol"]);
});

test("a new password counts for who has registered with the old one", async () => {
  const here = await place();
  await using running = await start(here);
  addUser(here, "bob");
  await using bob = await phone(here, "bob", 3);
  assert.equal((await bob.register()).status, 200);
  {
    using users = UserStore.open(join(here.dataDir, "users.db"));
    users.setPassword("bob", "another", ["postern"], 2, DOMAIN);
  }
  await until("the change", () => running.logged("users-changed").length > 0);
  assert.equal((await bob.register()).status, 401);
});

test("after a restart a phone rings that has not registered again", async () => {
  const here = await place();
  for (const name of ["alice", "bob"]) addUser(here, name);
  const first = await start(here);
  await using bob = await phone(here, "bob", 3);
  assert.equal((await bob.register()).status, 200);
  await first.daemon.close();
  await using _ = await start(here);
  await using alice = await phone(here, "alice", 2);
  await alice.call(bob);
});

test("a user who is removed in a call is hung up on, and the log says why; a new password ends no call", async () => {
  const here = await place();
  await using running = await start(here);
  for (const name of ["alice", "bob"]) addUser(here, name);
  await using alice = await phone(here, "alice", 2);
  await using bob = await phone(here, "bob", 3);
  for (const one of [alice, bob]) assert.equal((await one.register()).status, 200);
  await alice.call(bob);
  addUser(here, "bob");
  await until("the new password to count", () => running.logged("users-changed").length > 0);
  assert.deepEqual(running.logged("call-ended"), []);
  {
    using users = UserStore.open(join(here.dataDir, "users.db"));
    users.remove("bob");
  }
  for (const one of [alice, bob]) one.accept(await one.request("BYE"));
  assert.equal(running.logged("call-ended")[0]?.["end"], "user removed");
});

test("a user who is removed while nothing runs has no phone after the start", async () => {
  const here = await place();
  for (const name of ["alice", "bob"]) addUser(here, name);
  const first = await start(here);
  await using bob = await phone(here, "bob", 3);
  assert.equal((await bob.register()).status, 200);
  await first.daemon.close();
  {
    using users = UserStore.open(join(here.dataDir, "users.db"));
    users.remove("bob");
  }
  {
    await using _ = await start(here);
    await using alice = await phone(here, "alice", 2);
    assert.equal((await alice.ask(alice.invitation("bob"))).status, 480);
  }
  using kept = LocationStore.open(join(here.dataDir, "sip.db"), pino({ level: "silent" }));
  assert.deepEqual(kept.all(), []);
});

test("phones are told the external address, and another one as soon as that is configured", async () => {
  const plain = await place();
  const here = { ...plain, flags: { ...plain.flags, externalAddress: "198.51.100.7" } };
  await using running = await start(here);
  for (const name of ["alice", "bob"]) addUser(here, name);
  await using alice = await phone(here, "alice", 2);
  await using bob = await phone(here, "bob", 3);
  for (const one of [alice, bob]) assert.equal((await one.register()).status, 200);
  for (const outside of ["198.51.100.7", "198.51.100.8"]) {
    bob.requests.length = 0;
    const { invite, answer } = await alice.call(bob);
    assert.ok(invite.header("via")?.includes(`${outside}:${here.sipPort}`), invite.format());
    assert.ok(invite.header("record-route")?.includes(`@${outside}:${here.sipPort}`));
    assert.deepEqual([mediaOf(invite.body).host, mediaOf(answer.body).host], [outside, outside]);
    await running.change({ externalAddress: "198.51.100.8" });
  }
});

test("a change of trunks waits for a restart, and the log says so", async () => {
  await using running = await start(await place());
  await running.change({ sipTrunks: ["gate from=192.0.2.1"] });
  assert.deepEqual(running.logged("restart-needed")[0]?.["options"], ["sip-trunks"]);
});
