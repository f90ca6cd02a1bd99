/** Every message of RFC 4475 with the verdict of the section that shows it. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import type { Instant, UnixSeconds } from "../../../../src/core/base/machine.ts";
import type { SipFlow } from "../../../../src/core/sip/flow.ts";
import { createResponse } from "../../../../src/core/sip/message/build.ts";
import type { RefusalCode } from "../../../../src/core/sip/message/failure.ts";
import { type Judge, judgeRequest } from "../../../../src/core/sip/message/judge.ts";
import { SipRequest, SipResponse } from "../../../../src/core/sip/message/message.ts";
import { bodyParts } from "../../../../src/core/sip/message/multipart.ts";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import { isSipUri, type SipUri, withoutHeaders } from "../../../../src/core/sip/message/uri.ts";
import { isSameUri, unescaped } from "../../../../src/core/sip/message/uri-comparison.ts";
import { uniqueBranch, type Via } from "../../../../src/core/sip/message/via.ts";
import { defaultRegistrarConfig } from "../../../../src/core/sip/registrar/config.ts";
import { Registrar } from "../../../../src/core/sip/registrar/registrar.ts";
import { SeededRandom } from "../../../support/crypto.ts";

const directory = new URL("../../../vectors/rfc4475/", import.meta.url);

function read(name: string): string {
  return readFileSync(new URL(`${name}.dat`, directory), "latin1");
}

function request(name: string): SipRequest {
  const message = parseMessage(read(name));
  assert.ok(message instanceof SipRequest, name);
  return message;
}

function response(name: string): SipResponse {
  const message = parseMessage(read(name));
  assert.ok(message instanceof SipResponse, name);
  return message;
}

function sip(uri: unknown): SipUri {
  const { scheme } = uri as SipUri;
  assert.ok(scheme === "sip" || scheme === "sips");
  return uri as SipUri;
}

const server: Judge = {
  role: "server",
  schemes: ["sip", "sips", "tel"],
  extensions: ["path"],
  methods: ["INVITE", "ACK", "OPTIONS", "REGISTER", "BYE", "CANCEL", "MESSAGE"],
  contentTypes: ["application/sdp", "multipart/mixed"],
  answers: "application/sdp",
};
const proxy: Judge = { role: "proxy", schemes: ["sip", "sips", "tel"], extensions: [] };

const accepted: Readonly<Record<string, readonly [section: string, check: () => void]>> = {
  wsinv: ["3.1.1.1", wsinv],
  intmeth: ["3.1.1.2", intmeth],
  esc01: ["3.1.1.3", esc01],
  escnull: ["3.1.1.4", escnull],
  esc02: ["3.1.1.5", esc02],
  lwsdisp: ["3.1.1.6", () => assert.equal(request("lwsdisp").from.displayName, "caller")],
  longreq: ["3.1.1.7", longreq],
  dblreq: ["3.1.1.8", dblreq],
  semiuri: ["3.1.1.9", semiuri],
  transports: ["3.1.1.10", transports],
  mpart01: ["3.1.1.11", mpart01],
  unreason: ["3.1.1.12", unreason],
  noreason: ["3.1.1.13", noreason],
  baddate: ["3.1.2.12", () => assert.match(request("baddate").header("date") ?? "", /EST$/)],
  badbranch: ["3.2.1", () => assert.equal(uniqueBranch(request("badbranch").via), undefined)],
  unkscm: ["3.3.2", () => assert.equal(judgeRequest(request("unkscm"), server)?.status, 416)],
  novelsc: ["3.3.3", () => assert.equal(judgeRequest(request("novelsc"), proxy)?.status, 416)],
  unksm2: ["3.3.4", unksm2],
  bext01: ["3.3.5", bext01],
  invut: ["3.3.6", invut],
  regaut01: ["3.3.7", regaut01],
  bcast: ["3.3.10", () => assert.equal((response("bcast").vias as readonly Via[])[1]?.host, "255.255.255.255")],
  zeromf: ["3.3.11", zeromf],
  cparam01: ["3.3.12", cparam01],
  cparam02: ["3.3.13", cparam02],
  regescrt: ["3.3.14", regescrt],
  sdp01: ["3.3.15", sdp01],
  inv2543: ["3.4.1", inv2543],
};

const refused: Readonly<Record<string, readonly [section: string, code: RefusalCode, status: number | "dropped"]>> = {
  badinv01: ["3.1.2.1", "bad-via", 400],
  clerr: ["3.1.2.2", "body-too-short", 400],
  ncl: ["3.1.2.3", "bad-content-length", 400],
  scalar02: ["3.1.2.4", "bad-cseq", 400],
  scalarlg: ["3.1.2.5", "bad-cseq", "dropped"],
  quotbal: ["3.1.2.6", "bad-to", 400],
  ltgtruri: ["3.1.2.7", "bad-uri", 400],
  lwsruri: ["3.1.2.8", "bad-request-line", 400],
  lwsstart: ["3.1.2.9", "bad-request-line", 400],
  trws: ["3.1.2.10", "bad-request-line", 400],
  escruri: ["3.1.2.11", "uri-headers", 400],
  regbadct: ["3.1.2.13", "bad-contact", 400],
  badaspec: ["3.1.2.14", "bad-to", 400],
  baddn: ["3.1.2.15", "bad-header", 400],
  badvers: ["3.1.2.16", "bad-version", 505],
  mismatch01: ["3.1.2.17", "method-mismatch", 400],
  mismatch02: ["3.1.2.18", "method-mismatch", 400],
  bigcode: ["3.1.2.19", "bad-status-line", "dropped"],
  insuf: ["3.3.1", "missing-from", 400],
  multi01: ["3.3.8", "repeated-header", 400],
  mcl01: ["3.3.9", "repeated-header", 400],
};

test("RFC 4475: every one of its messages has a verdict here", () => {
  const files = readdirSync(directory).map((file) => file.slice(0, -".dat".length));
  assert.deepEqual([...Object.keys(accepted), ...Object.keys(refused)].sort(), files.sort());
});

for (const [name, [section, check]] of Object.entries(accepted)) {
  test(`RFC 4475 §${section}: ${name} is taken, and is the same again`, () => {
    const text = read(name);
    const message = parseMessage(text);
    assert.ok(message.kind !== "failure", JSON.stringify(message));
    assert.equal(message.format(), name === "dblreq" ? text.slice(0, message.format().length) : text);
    check();
  });
}

for (const [name, [section, code, status]] of Object.entries(refused)) {
  test(`RFC 4475 §${section}: ${name} is refused, ${status}`, () => {
    const failure = parseMessage(read(name));
    assert.ok(failure.kind === "failure");
    assert.equal(failure.refusal.code, code);
    if (status === "dropped") {
      assert.equal(failure.request, undefined);
      return;
    }
    assert.equal(failure.refusal.status, status);
    assert.ok(failure.request !== undefined);
    const answer = createResponse(failure.request, status, { reason: failure.refusal.reason, toTag: "t" }).format();
    assert.ok(
      answer.startsWith(`SIP/2.0 ${status} ${failure.refusal.reason}\r\nVia:`) || /\r\n(v|Via) *:/i.test(answer),
    );
  });
}

test("RFC 4475 §3.1.2.15: a display name of several words with a comma is no display name", () => {
  // The archive's file has no empty line behind its fields, which is refused by itself.
  const failure = parseMessage(`${read("baddn")}\r\n`);
  assert.ok(failure.kind === "failure" && failure.refusal.code === "bad-from");
});

function wsinv(): void {
  const invite = request("wsinv");
  assert.equal(sip(invite.uri).params.get("unknownparam"), "");
  assert.equal(invite.to.uriText, "sip:vivekg@chair-dnrc.example.com");
  assert.equal(invite.toTag, "1918181833n");
  assert.equal(invite.from.displayName, 'J Rosenberg \\"');
  assert.equal(invite.fromTag, "98asjd8");
  assert.equal(invite.maxForwards, 68);
  assert.equal(invite.callId, "wsinv.ndaksdj@192.0.2.1");
  assert.deepEqual(invite.cseq, { number: 9, method: "INVITE" });
  const vias = invite.vias as readonly Via[];
  assert.deepEqual(
    vias.map(({ transport, host, params }) => [transport, host, params.get("branch")]),
    [
      ["UDP", "192.0.2.2", "390skdjuw"],
      ["TCP", "spindle.example.com", "z9hG4bK9ikj8"],
      ["UDP", "192.168.255.111", "z9hG4bK30239"],
    ],
  );
  assert.equal(invite.header("subject"), "");
  assert.equal(invite.header("NewFangledHeader"), "newfangled value continued newfangled value");
  assert.equal(invite.header("UnknownHeaderWithUnusualValue"), ";;,,;;,;");
  assert.equal(invite.contentType, "application/sdp");
  const routes = invite.routes;
  assert.ok(typeof routes === "object");
  assert.equal(routes[0]?.uriText, "sip:services.example.com;lr;unknownwith=value;unknown-no-value");
  const contacts = invite.contacts;
  assert.ok(typeof contacts === "object");
  assert.equal(contacts[0]?.displayName, 'Quoted string ""');
  assert.equal(contacts[0]?.params.get("secondparam"), "");
  assert.equal(contacts[0]?.params.get("q"), "0.33");
  assert.equal(invite.body.length, Number(invite.header("l")));
}

function intmeth(): void {
  const message = request("intmeth");
  assert.equal(message.method, "!interesting-Method0123456789_*+`.%indeed'~");
  const uri = sip(message.uri);
  assert.equal(uri.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
  assert.equal(uri.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
  assert.equal(uri.host, "example.com");
  assert.equal(message.to.displayName, "BEL:\u0007 NUL:\0 DEL:\u007f");
  assert.equal(message.fromTag, "_token~1'+`*%!-.");
  assert.equal(message.from.displayName, "token1~` token2'+_ token3*%!.-");
  assert.equal(message.maxForwards, 255);
}

function esc01(): void {
  const invite = request("esc01");
  assert.equal(unescaped(sip(invite.uri).user ?? ""), "sips:user@example.com");
  assert.equal(sip(invite.uri).scheme, "sip");
  const contacts = invite.contacts;
  assert.ok(typeof contacts === "object");
  assert.deepEqual(contacts.map(({ uri }) => [...sip(uri).params].map(({ name }) => unescaped(name)))[0], [
    "lr",
    "name",
  ]);
}

function escnull(): void {
  const register = request("escnull");
  const contacts = register.contacts;
  assert.ok(typeof contacts === "object");
  assert.deepEqual(
    contacts.map(({ uri }) => unescaped(sip(uri).user ?? "")),
    ["\0", "\0\0"],
  );
  assert.equal(unescaped(sip(register.to.uri).user ?? ""), "null-\0-null");
  assert.ok(!isSameUri(sip(contacts[0]?.uri), sip(contacts[1]?.uri)), "two phones, not one");
  assert.deepEqual(registered("escnull"), [404, []], "no user's name has a NUL");
}

function esc02(): void {
  const message = request("esc02");
  assert.equal(message.method, "RE%47IST%45R");
  assert.equal(judgeRequest(message, server)?.status, 405, "it is no REGISTER");
  const contacts = message.contacts;
  assert.ok(typeof contacts === "object");
  assert.equal(contacts.length, 2);
  assert.equal(contacts[0]?.params.get("%65xpires"), undefined);
}

function longreq(): void {
  const invite = request("longreq");
  assert.equal((invite.vias as readonly Via[]).length, 34);
  const name = `unknown-${"long".repeat(20)}-name`;
  assert.ok(invite.header(name)?.startsWith("unknown-longlong"), invite.header(name));
  assert.equal(sip(invite.to.uri).port, 6000);
}

function dblreq(): void {
  const register = request("dblreq");
  assert.equal(register.method, "REGISTER");
  assert.equal(register.body, "", "what is behind the body is none of it");
}

function semiuri(): void {
  assert.equal(unescaped(sip(request("semiuri").uri).user ?? ""), "user;par=u@example.net");
}

function transports(): void {
  const vias = request("transports").vias as readonly Via[];
  assert.deepEqual(
    vias.map(({ transport }) => transport),
    ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"],
  );
}

function mpart01(): void {
  const message = request("mpart01");
  const parts = bodyParts(message.body, message.header("content-type") ?? "");
  assert.deepEqual(
    parts.map(({ contentType }) => contentType),
    ["text/plain", "application/octet-stream"],
  );
  assert.equal(parts[0]?.text, "Hello");
}

function unreason(): void {
  assert.ok(Buffer.from(response("unreason").reason, "latin1").toString("utf8").startsWith("= 2**3 * 5**2 "));
}

function noreason(): void {
  const { status, reason } = response("noreason");
  assert.deepEqual([status, reason], [100, ""]);
}

/** What a registrar of `example.com` says of it, to somebody who has proven to be the user that it names. */
function registered(name: string): readonly [status: number, contacts: readonly string[]] {
  const register = request(name);
  const { uri } = register.to;
  const user = isSipUri(uri) ? (uri.user ?? "") : "user";
  const registrar = new Registrar(
    { ...defaultRegistrarConfig, domain: "example.com" },
    { random: new SeededRandom(1), wallClock: { now: () => 1_700_000_000 as UnixSeconds } },
  );
  const address = parseIp("192.0.2.7", 5060) as Address;
  const flow: SipFlow = { transport: "udp", local: address, remote: address, connection: 0 };
  const { status } = registrar.handleRegister(register, flow, user, 0 as Instant);
  return [status, [...registrar.bindings()].map(({ contact }) => contact)];
}

function unksm2(): void {
  const register = request("unksm2");
  assert.equal(registered("unksm2")[0], 400, "To is no address of a user");
  assert.equal(register.to.uri.scheme, "isbn");
  assert.ok(!isSipUri(register.from.uri));
}

function bext01(): void {
  assert.deepEqual(judgeRequest(request("bext01"), server), {
    status: 420,
    reason: "Bad Extension",
    headers: [["Unsupported", "nothingSupportsThis, nothingSupportsThisEither"]],
  });
  assert.deepEqual(judgeRequest(request("bext01"), proxy)?.headers, [
    ["Unsupported", "noProxiesSupportThis, norDoAnyProxiesSupportThis"],
  ]);
}

function invut(): void {
  const verdict = judgeRequest(request("invut"), server);
  assert.equal(verdict?.status, 415);
  assert.deepEqual(verdict?.headers, [["Accept", "application/sdp, multipart/mixed"]]);
}

function regaut01(): void {
  const credentials = request("regaut01").credentials("Authorization");
  assert.deepEqual(credentials[0]?.scheme, "nooneknowsthisscheme");
}

function zeromf(): void {
  assert.equal(judgeRequest(request("zeromf"), proxy)?.status, 483);
  assert.equal(judgeRequest(request("zeromf"), server), undefined, "a server may answer");
}

function cparam01(): void {
  const contacts = request("cparam01").contacts;
  assert.ok(typeof contacts === "object");
  assert.ok(contacts[0]?.params.has("unknownparam") && !sip(contacts[0].uri).params.has("unknownparam"));
  assert.deepEqual(registered("cparam01"), [200, ["sip:+19725552222@gw1.example.net"]]);
}

function cparam02(): void {
  const contacts = request("cparam02").contacts;
  assert.ok(typeof contacts === "object");
  assert.ok(!contacts[0]?.params.has("unknownparam") && sip(contacts[0]?.uri).params.has("unknownparam"));
  assert.deepEqual(registered("cparam02"), [200, ["sip:+19725552222@gw1.example.net;unknownparam"]]);
}

function regescrt(): void {
  const contacts = request("regescrt").contacts;
  assert.ok(typeof contacts === "object");
  assert.deepEqual(sip(contacts[0]?.uri).headers, [["route", "%3Csip:sip.example.com%3E"]]);
  const contact = "sip:user@example.com?Route=%3Csip:sip.example.com%3E";
  assert.deepEqual(registered("regescrt"), [200, [contact]]);
  assert.equal(withoutHeaders(contact), "sip:user@example.com", "which is where its calls go");
}

function sdp01(): void {
  const invite = request("sdp01");
  assert.equal(judgeRequest(invite, server)?.status, 406);
  for (const range of ["application/SDP;level=1", "text/plain, application/*", "*/*;q=0.1"]) {
    invite.headers.set("Accept", range);
    assert.equal(judgeRequest(invite, server), undefined, range);
  }
}

function inv2543(): void {
  const invite = request("inv2543");
  assert.equal(uniqueBranch(invite.via), undefined);
  assert.equal(invite.maxForwards, undefined);
  assert.equal(invite.fromTag, undefined);
}
