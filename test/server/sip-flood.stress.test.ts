/** A daemon under floods from 10,000 real sources: phones register and call as ever, and its memory stays as it is. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseIp } from "../../src/core/base/address.ts";
import { UserStore } from "../../src/server/users/user-store.ts";
import { startChild } from "../support/child.ts";
import { type RunningDaemon, startDaemon } from "../support/daemon.ts";
import { requireStress } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { repeating, SipPhone } from "../support/sip-phone.ts";
import { until } from "../support/until.ts";

const DOMAIN = "example.org";
const flooder = fileURLToPath(import.meta.resolve("../support/sip-flood.ts"));
/** Of two phones each. */
const pairs = 10;

suite("a daemon under a flood", { skip: requireStress(2) }, () => {
  let daemon: RunningDaemon;
  let sipPort: number;
  const phones: SipPhone[] = [];

  before(async () => {
    sipPort = await freePort();
    const media = await freePortRange(256);
    const flags = ["--sip-domain", DOMAIN, "--sip-port", `${sipPort}`, "--sips-port", "off"];
    daemon = await startDaemon({ flags: [...flags, "--media-ports", `${media.low}-${media.high}`] });
    const server = parseIp("127.0.0.1", sipPort) ?? assert.fail();
    using users = UserStore.open(join(daemon.dataDir, "users.db"));
    for (let n = 0; n < 2 * pairs; n++) {
      users.setPassword(`u${n}`, "secret", [], 1, DOMAIN);
      const account = { user: `u${n}`, domain: DOMAIN, password: "secret" };
      const phone = await SipPhone.open(account, `127.0.1.${n + 1}`, server);
      phone.repeatsItself = true;
      phones.push(phone);
    }
    for (const phone of phones) assert.equal((await phone.register()).status, 200);
  });
  after(async () => {
    await Promise.all(phones.map((phone) => phone[Symbol.asyncDispose]()));
    await daemon[Symbol.asyncDispose]();
  });

  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${daemon.ports.httpPort}/metrics`)).text();
    const line = new RegExp(`^${name.replace(/[{}"]/g, "\\$&")} (\\S+)$`, "m").exec(text);
    return Number(line?.[1] ?? assert.fail(name));
  };

  /** One registers again; and they call each other and hang up. Gives how many of the two were served. */
  const serve = async (caller: SipPhone, callee: SipPhone): Promise<number> => {
    for (const phone of [caller, callee]) phone.requests.length = phone.responses.length = 0;
    const isRegistered = (await caller.register()).status === 200;
    const answered = caller.ask(caller.invitation(callee.account.user));
    const invite = await callee.request("INVITE");
    callee.answer(invite);
    const answer = await repeating(() => callee.answer(invite), answered);
    if (answer.status !== 200) return isRegistered ? 1 : 0;
    const ack = caller.within(answer, "ACK");
    caller.send(ack);
    await repeating(() => caller.send(ack), callee.request("ACK"));
    const ended = caller.ask(caller.within(answer, "BYE"));
    const bye = await callee.request("BYE");
    callee.accept(bye);
    const end = await repeating(() => callee.accept(bye), ended);
    return (isRegistered ? 1 : 0) + (end.status === 200 ? 1 : 0);
  };

  for (const method of ["INVITE", "REGISTER"]) {
    test(`of ${method}s from 10,000 sources: 999 of 1,000 registrations and calls succeed, in the memory there was`, async () => {
      const [seen, memory] = [
        await metric("postern_sip_requests_total"),
        await metric("process_resident_memory_bytes"),
      ];
      const flood = await startChild([process.execPath, flooder, method, "127.0.0.1", `${sipPort}`]);
      let [asked, served] = [0, 0];
      const pair = async (caller: SipPhone, callee: SipPhone): Promise<void> => {
        while (flood.ending() === undefined) {
          asked += 2;
          const both = await serve(caller, callee);
          served += both;
        }
      };
      await Promise.all(phones.flatMap((phone, n) => (n % 2 === 0 ? [pair(phone, phones[n + 1] as SipPhone)] : [])));
      assert.match(flood.output(), /^sources 10000 messages 30000$/m);
      assert.ok(asked >= 200, `only ${asked} while it lasted`);
      assert.ok(served >= asked * 0.999, `${served} of ${asked}`);
      // What the socket had no room for was no work; most has been looked at.
      assert.ok((await metric("postern_sip_requests_total")) - seen > 15_000);
      assert.ok((await metric('postern_sip_refused_total{reason="stranger"}')) > 10_000);
      const grown = (await metric("process_resident_memory_bytes")) - memory;
      assert.ok(grown < 96 << 20, `${grown} bytes more`);
      await until("the last call's end", async () => (await metric("postern_sip_calls")) === 0);
    });
  }
});
