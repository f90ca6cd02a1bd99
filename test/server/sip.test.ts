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
import { UserStore } from "../../src/server/users/user-store.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { SipPhone } from "../support/sip-phone.ts";
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
  const sources = { flags, env: {} };
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const log = pino({ level: "debug", messageKey: "event" }, { write });
  const loaded = await loadConfig(sources);
  const daemon = await Daemon.start({ loaded, reload: () => loadConfig(sources), log, version: "0" });
  const logged = (event: string) => lines.filter((line) => line["event"] === event);
  return { daemon, logged, [Symbol.asyncDispose]: () => daemon.close() };
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
  await using _ = await start(here);
  addUser(here, "carol", { sip: false });
  await using carol = await phone(here, "carol", 2);
  assert.equal((await carol.register()).status, 401);
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
