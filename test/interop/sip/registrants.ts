/**
 * Many phones of one host that register over TLS, which Debian's sipp does not speak, and hang up the line:
 *
 *   node registrants.ts ADDRESS SERVER PORT DOMAIN RATE USER=PASSWORD...
 *
 * `RATE`: phones a second. It writes `200: N`, and so on for each answer, when all have been answered.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseIp } from "../../../src/core/base/address.ts";
import { SipPhone } from "../../support/sip-phone.ts";

const [ip, host, port, domain, rate, ...accounts] = process.argv.slice(2) as [string, string, string, string, string];
const server = parseIp(host, Number(port))!;
const answers = new Map<string, number>();

async function register(account: string): Promise<string> {
  const [user, password] = account.split("=") as [string, string];
  await using phone = await SipPhone.open({ user, password, domain }, ip, server, "tls");
  return `${(await phone.register()).status}`;
}

const begun = performance.now();
await Promise.all(
  (accounts as readonly string[]).map(async (account, i) => {
    await delay(Math.max(0, begun + (1_000 * i) / Number(rate) - performance.now()));
    const answer = await register(account).catch((error: Error) => error.message);
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  }),
);
for (const [answer, count] of answers) console.log(`${answer}: ${count}`);
