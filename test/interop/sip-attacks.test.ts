/**
 * Who has overheard real phones, forges their addresses, or is a user of the same server, and wants their calls, their
 * registrations or their passwords.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SipRequest, type SipResponse } from "../../src/core/sip/message/message.ts";
import { parseMessage } from "../../src/core/sip/message/parse.ts";
import { Agent } from "../../src/lab/agent-process.ts";
import type { ShownCall, ShownRegistration } from "../../src/server/services/sip/shown.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { Baresip } from "./sip/baresip.ts";
import { Capture, isFrom } from "./sip/capture.ts";
import { domain, Office, passwordOf, serverHost, sipPort } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, moreSound, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "dumpcap", "ethtool", "ip", "nft", "setpriv", "unshare", "nsenter");
const users = ["alice", "bob", "mallory"];
const topology = {
  outside: ["server", "mallory"],
  sites: [
    { name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone" } as const] },
    { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, random" } as const] },
  ],
};
const toServer = `${serverHost}:${sipPort}`;
/** By their ports. The first speaks for itself, the next with the address of alice's home, the last as her phone itself. */
const sockets = [5_060, 5_061, 5_062] as const;

/** What a wiretap at alice's router has heard of SIP. */
async function overheard(tap: Capture): Promise<(SipRequest | SipResponse)[]> {
  const packets = await tap.packets();
  return packets.flatMap(({ data }) => {
    const message = parseMessage(data.toString("latin1"));
    return message.kind === "failure" ? [] : [message];
  });
}

describe("real phones, and somebody who means no good", { skip }, () => {
  let office: Office;
  let alice: Baresip;
  let bob: Baresip;
  let mallory: Agent;
  let ip: string;
  let registration: SipRequest;
  before(async () => {
    office = await Office.open(topology, { users });
    ip = office.network.addressOf("mallory");
    await using tap = await Capture.start(office, "home router", { bytes: 2_048 });
    [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440 }),
      office.phone("bob", { user: "bob", tone: 1_000 }),
    ]);
    mallory = await Agent.start(office.network.at("mallory"));
    for (const port of sockets) await mallory.tell("open", { id: `${port}`, port });
    const { remote } = (await registrationOf("alice"))[0]!;
    const rules = [`udp sport 5061 snat to ${remote.split(":")[0]}`, `udp sport 5062 snat to ${remote}`];
    const chain = `chain post { type nat hook postrouting priority 100; ${rules.join("; ")}; }`;
    await office.network.at("mallory").nft(`table ip forge { ${chain}; }\n`);
    registration = (await overheard(tap)).find(
      (one): one is SipRequest => one instanceof SipRequest && one.header("authorization") !== undefined,
    )!;
  });
  after(async () => {
    await mallory?.stop();
    await office?.[Symbol.asyncDispose]();
  });

  const registrationOf = async (user: string) =>
    (await office.told<ShownRegistration>("registrations")).filter((one) => one.user === user);

  async function send(texts: readonly string[], from: readonly number[] = sockets): Promise<void> {
    for (const id of from) await mallory.tell("send", { id: `${id}`, to: toServer, texts });
  }

  test("an overheard REGISTER registers nobody else, and takes nobody away", async () => {
    const here = `<sip:alice@${ip}:5060>`;
    const variants = [
      (_: SipRequest) => {},
      (copy: SipRequest) => copy.headers.set("Contact", here),
      (copy: SipRequest) => {
        copy.headers.set("Contact", here);
        copy.headers.set("CSeq", "4711 REGISTER");
        copy.headers.set("Call-ID", "another");
      },
      (copy: SipRequest) => {
        copy.headers.set("Contact", "*");
        copy.headers.set("Expires", "0");
        copy.headers.set("CSeq", "4712 REGISTER");
      },
    ];
    const texts = variants.map((change, i) => {
      const copy = registration.copy();
      copy.removeTopVia();
      copy.prependVia(`SIP/2.0/UDP ${ip}:5060;branch=z9hG4bKhijack${i};rport`);
      change(copy);
      return copy.format();
    });
    const [before] = await registrationOf("alice");
    await send(texts);
    const now = await registrationOf("alice");
    assert.deepEqual(
      now.map(({ contact, remote }) => [contact, remote]),
      [[before?.contact, before?.remote]],
    );
    await connect(bob, alice);
    await talk(bob, alice);
    await hangUp(bob, alice);
    const heard = await mallory.tell("heard", { id: `${sockets[0]}` });
    assert.deepEqual(
      heard.map(({ text }) => text.split(" ")[1]).filter((status) => status !== "401"),
      [],
      "nothing but challenges",
    );
  });

  test("an overheard dialog is nobody's to move: sound goes on to where it went, and never to another", async () => {
    await using tap = await Capture.start(office, "home router", { bytes: 2_048 });
    await using atMallory = await Capture.start(office, "mallory");
    await connect(alice, bob);
    await talk(alice, bob);
    const requests = stolen(await overheard(tap));
    await send(requests, sockets.slice(0, 2));
    // Who hears all and forges all is told from the phone by encryption alone: without our token it gets nowhere.
    const guessed = requests.map((text) => text.replace(/^Route: .*\r\n/m, `Route: <sip:${toServer};lr>\r\n`));
    await send(guessed, sockets.slice(2));
    await Promise.all([moreSound(office.network, alice, 100), moreSound(office.network, bob, 100)]);
    const calls = await office.told<ShownCall>("calls");
    assert.equal(calls.length, 1, "nobody has hung it up");
    for (const { remote } of calls[0]?.streams ?? []) assert.notEqual(remote?.split(":")[0], ip);
    await hangUp(alice, bob);
    await assertHeardOnly(alice, bob);
    await assertHeardOnly(bob, alice);
    const sound = (await atMallory.packets()).filter((one) => isFrom(one, serverHost) && one.data[0]! >> 6 === 2);
    assert.deepEqual(sound, []);
  });

  /** Requests of alice's in the dialog, as good as who has heard all can make them: with her answer to a challenge, and without. */
  function stolen(messages: readonly (SipRequest | SipResponse)[]): string[] {
    const requests = messages.filter((one) => one instanceof SipRequest);
    const ack = requests.findLast(({ method }) => method === "ACK")!;
    const invite = requests.find((one) => one.method === "INVITE" && one.header("proxy-authorization") !== undefined)!;
    const sdp = invite.body.replace(/(IN IP4) \S+/g, `$1 ${ip}`);
    let { number } = ack.cseq;
    const forged = (method: string, secret: string | undefined): string => {
      const copy = ack.copy();
      copy.removeTopVia();
      copy.prependVia(`SIP/2.0/UDP ${ip}:5060;branch=z9hG4bKmove${++number};rport`);
      copy.headers.set("CSeq", `${number} ${method}`);
      copy.headers.set("Contact", `<sip:alice@${ip}:5060>`);
      copy.headers.remove("Proxy-Authorization");
      if (secret !== undefined) copy.headers.set("Proxy-Authorization", secret);
      if (method !== "BYE") copy.setBody(sdp, "application/sdp");
      return copy.format().replace(/^ACK/, method);
    };
    const secrets = [invite.header("proxy-authorization"), undefined];
    return secrets.flatMap((secret) => ["INVITE", "UPDATE", "BYE"].map((method) => forged(method, secret)));
  }

  test("who is called does not get the caller's password by asking for it", async () => {
    const insider = await office.start("mallory", insiderCommand("leak"), { holdInput: true });
    await until("the insider to be called", () => insider.output().includes("ready"));
    for (let n = 0; n < 3; n++) {
      const skipped = alice.events.length;
      await alice.press("dial", `sip:mallory@${domain}`);
      await alice.tells("CALL_ESTABLISHED", { skip: skipped });
      await alice.press("hangup");
      await until("the call to be over", async () => (await office.told<ShownCall>("calls")).length === 0);
    }
    insider.write("enough\n");
    await insider.ended();
    const { requests } = JSON.parse(insider.output().split("\n").at(-2)!) as { requests: string[] };
    assert.ok(requests.filter((text) => text.startsWith("BYE")).length >= 3, requests.join("\n"));
    for (const text of requests) assert.doesNotMatch(text, /Digest|authorization/i);
  });

  test("what two readers could read in two ways reaches no phone; what is plain does", async () => {
    const skipped = bob.events.length;
    const insider = await office.start("mallory", insiderCommand("smuggle", "bob"));
    await until("all to be sent", () => insider.output().includes("ready"), { within: 60_000 });
    await bob.tells("CALL_INCOMING", { skip: skipped });
    await bob.press("hangup");
    await insider.ended();
    const { answers } = JSON.parse(insider.output().split("\n").at(-2)!) as { answers: number[][] };
    assert.equal(bob.events.slice(skipped).filter(({ type }) => type === "CALL_INCOMING").length, 1);
    const honest = answers.at(-1)!;
    assert.ok(honest.includes(180) && honest.at(-1)! >= 486, `${honest}`);
    for (const statuses of answers.slice(0, -1)) {
      for (const status of statuses) assert.ok([400, 407].includes(status), `${status}`);
    }
  });

  function insiderCommand(deed: "leak" | "smuggle", ...more: readonly string[]): string[] {
    const script = new URL("sip/insider.ts", import.meta.url).pathname;
    const account = ["mallory", domain, passwordOf("mallory")];
    return [process.execPath, script, deed, ip, serverHost, `${sipPort}`, ...account, ...more];
  }
});
