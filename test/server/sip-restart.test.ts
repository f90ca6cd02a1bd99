/** A server that ends and begins anew while phones talk, on real sockets and with what it has kept on disk. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pino } from "pino";
import { parseIp } from "../../src/core/base/address.ts";
import type { SipResponse } from "../../src/core/sip/message/message.ts";
import { loadConfig } from "../../src/server/config/load.ts";
import { Daemon } from "../../src/server/daemon.ts";
import { UserStore } from "../../src/server/users/user-store.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { SipPhone } from "../support/sip-phone.ts";
import { until } from "../support/until.ts";

const DOMAIN = "example.org";

async function office() {
  const dataDir = await mkdtemp(join(tmpdir(), "postern-restart-"));
  after(() => rm(dataDir, { recursive: true }));
  const [relay, media, sipPort] = [await freePortRange(16), await freePortRange(64), await freePort()];
  const flags = {
    ...{ dataDir, listen: ["127.0.0.1"], httpListen: "off", tlsPort: "off", sipsPort: "off", tcpPort: "off" },
    ...{ udpPort: `${await freePort()}`, relayPorts: `${relay.low}-${relay.high}` },
    ...{ sipDomain: DOMAIN, sipPort: `${sipPort}`, mediaPorts: `${media.low}-${media.high}` },
  };
  const start = async (): Promise<Daemon> => {
    const loaded = await loadConfig({ flags, env: {} });
    const log = pino({ level: "silent" });
    return Daemon.start({ loaded, reload: () => Promise.resolve(loaded), log, version: "0" });
  };
  const phone = (user: string, last: number, transport: "udp" | "tcp"): Promise<SipPhone> => {
    const account = { user, domain: DOMAIN, password: `secret of ${user}` };
    return SipPhone.open(account, `127.0.0.${last}`, parseIp("127.0.0.1", sipPort) ?? assert.fail(), transport);
  };
  const first = await start();
  using users = UserStore.open(join(dataDir, "users.db"));
  for (const name of ["alice", "bob"]) users.setPassword(name, `secret of ${name}`, ["postern"], 1, DOMAIN);
  return { start, phone, first };
}

/** An offer and its answer, and four packets each way. */
async function talkAgain(alice: SipPhone, bob: SipPhone, answer: SipResponse): Promise<void> {
  const offer = alice.within(answer, "INVITE");
  offer.headers.set("Contact", `<${alice.contact}>`);
  offer.setBody(alice.sdp, "application/sdp");
  const answered = alice.ask(offer);
  const invite = await until("the offer", () => bob.requests.findLast(({ method }) => method === "INVITE"));
  bob.answer(invite);
  const { status, body, cseq } = await answered;
  assert.equal(status, 200);
  const ack = alice.within(answer, "ACK");
  ack.headers.set("CSeq", `${cseq.number} ACK`);
  alice.send(ack);
  const [heardByAlice, heardByBob] = [alice.heard.length, bob.heard.length];
  // The first two of each prove whose they are, and may come to nobody.
  for (let i = 1; i <= 4; i++) {
    alice.speak(body, i);
    bob.speak(invite.body, i);
  }
  await until("voice", () => bob.heard.length >= heardByBob + 2);
  await until("voice", () => alice.heard.length >= heardByAlice + 2);
}

test("after a restart phones on TCP that have come back are asked within their call, hear each other, and hang up", async () => {
  const here = await office();
  let answer: SipResponse;
  {
    await using first = here.first;
    await using alice = await here.phone("alice", 2, "tcp");
    await using bob = await here.phone("bob", 3, "tcp");
    for (const one of [alice, bob]) assert.equal((await one.register()).status, 200);
    ({ answer } = await alice.call(bob));
    assert.equal(first.sessions.calls, 1);
  }
  await using second = await here.start();
  assert.equal(second.sessions.calls, 0);
  await using alice = await here.phone("alice", 2, "tcp");
  await using bob = await here.phone("bob", 3, "tcp");
  for (const one of [alice, bob]) assert.equal((await one.register()).status, 200);
  await talkAgain(alice, bob, answer);
  assert.equal(second.sessions.calls, 1);
  const gone = alice.ask(alice.within(answer, "BYE"));
  bob.accept(await bob.request("BYE"));
  assert.equal((await gone).status, 200);
  assert.equal(second.sessions.calls, 0);
});

test("after a restart phones on UDP, who have noticed nothing, hear each other again by the next offer", async () => {
  const here = await office();
  await using alice = await here.phone("alice", 2, "udp");
  await using bob = await here.phone("bob", 3, "udp");
  for (const one of [alice, bob]) assert.equal((await one.register()).status, 200);
  const { answer } = await alice.call(bob);
  await here.first.close();
  bob.requests.length = 0;
  await using second = await here.start();
  await talkAgain(alice, bob, answer);
  assert.equal(second.sessions.calls, 1);
});
