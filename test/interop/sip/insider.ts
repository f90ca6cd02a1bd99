/**
 * A user of the same server who means no good to the others, with a phone like any other:
 *
 *   node insider.ts leak|smuggle ADDRESS SERVER PORT USER DOMAIN PASSWORD [VICTIM]
 *
 * `leak` lets itself be called, and asks for the caller's password when that hangs up, once with each challenge that it
 * knows. `smuggle` calls the victim with messages that two readers could read in two ways, each by a phone of its own, and
 * at last with an honest one. Both write `ready`; and at their end a line of JSON: the requests that came, and the
 * statuses of all answers.
 */
import { parseIp } from "../../../src/core/base/address.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipRequest } from "../../../src/core/sip/message/message.ts";
import { SipPhone } from "../../support/sip-phone.ts";
import { until } from "../../support/until.ts";

const [deed, ip, host, port, user, domain, password, victim] = process.argv.slice(2) as [
  ...["leak" | "smuggle", string, string, string, string, string, string, string],
];
const server = parseIp(host, Number(port))!;
const account = { user, domain, password };
const within = 30_000;

/** Of our realm, which phones have answered before, and of another, which many answer as well. */
const challenges = [
  [407, "Proxy-Authenticate", domain],
  [401, "WWW-Authenticate", domain],
  [407, "Proxy-Authenticate", "elsewhere"],
] as const;

function nth(phone: SipPhone, method: string, n: number): Promise<SipRequest> {
  const found = () => phone.requests.filter((one) => one.method === method)[n];
  return until(`${method} ${n}`, found, { within });
}

async function leak(): Promise<void> {
  await using phone = await SipPhone.open(account, ip, server);
  await phone.register();
  console.log("ready");
  for (const [n, [status, name, realm]] of challenges.entries()) {
    phone.answer(await nth(phone, "INVITE", n));
    const bye = await nth(phone, "BYE", n);
    const value = `Digest realm="${realm}", nonce="n", algorithm=MD5, qop="auth"`;
    phone.send(createResponse(bye, status, { headers: [[name, value]] }));
  }
  // The line stays until the test has seen that the last call is over.
  await new Promise((resolve) => process.stdin.once("data", resolve));
  tell([phone]);
}

/** Each shows something to one reader that it hides from another. */
function smuggled(honest: string): string[] {
  const [first] = honest.split("\r\n");
  const hidden = honest.replace(/CSeq: \d+/, "CSeq: 99");
  return [
    honest.replace("Content-Length:", "l: 0\r\nContent-Length:"),
    honest.replace(/Content-Length: \d+/, "Content-Length: 9999"),
    honest.replace("From:", "From: <sip:admin@example.org>;tag=y\r\nf:"),
    honest.replace("\r\nFrom:", "\nFrom:"),
    honest.replace("\r\nTo:", "\r\nTo\u00a0: <sip:a@b>\r\nTo:"),
    honest.replace("\r\nTo:", `\r\n\r\n${first}\r\nTo:`),
    honest.replace("CSeq:", "CSeq: 1 BYE\r\nCSeq:"),
    honest.replace(/Content-Length: \d+/, `Content-Length\u007f 1\r\n\r\n${hidden}`),
  ];
}

async function smuggle(): Promise<void> {
  const phones: SipPhone[] = [];
  for (const transport of ["udp", "tcp"] as const) {
    for (let n = 0; n < smuggled("").length; n++) {
      const phone = await SipPhone.open(account, ip, server, transport);
      phones.push(phone);
      const honest = await phone.authorized(phone.invitation(victim));
      phone.sendText(smuggled(honest.format())[n] as string);
    }
  }
  console.log("ready");
  await using honest = await SipPhone.open(account, ip, server);
  await honest.ask(honest.invitation(victim));
  tell([...phones, honest]);
  for (const phone of phones) await phone[Symbol.asyncDispose]();
}

function tell(phones: readonly SipPhone[]): void {
  const requests = phones.flatMap((phone) => phone.requests.map((one) => one.format()));
  const answers = phones.map((phone) => phone.responses.map((one) => one.status));
  console.log(JSON.stringify({ requests, answers }));
}

await (deed === "leak" ? leak : smuggle)();
process.exit(0);
