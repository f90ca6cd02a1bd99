/**
 * A registrar and proxy as drawn in textbooks, that believes what messages say of addresses. It asks for no password and
 * is in tests only: to show what fails, and why.
 *
 *   node naive-proxy.ts ADDRESS via|source
 *
 * `via`: answers go where Via says, requests where Contact says (RFC 2543). `source`: both go where the phone's messages
 * come from (RFC 3581), and descriptions of media stay as they are.
 */
import { createHash } from "node:crypto";
import { createSocket, type RemoteInfo } from "node:dgram";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { MALFORMED } from "../../../src/core/sip/message/characters.ts";
import type { SipMessage, SipRequest, SipResponse } from "../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../src/core/sip/message/parse.ts";
import { isSipUri, type Uri } from "../../../src/core/sip/message/uri.ts";

interface Place {
  readonly host: string;
  readonly port: number;
}

interface Phone {
  readonly contact: string;
  readonly said: Place;
  readonly seen: Place;
}

const port = 5060;
const [address, answersTo] = process.argv.slice(2) as [string, "via" | "source"];
/** By the user's name, and by the one in its Contact. */
const phones = new Map<string, Phone>();
const socket = createSocket("udp4");

function send(message: SipMessage, { host, port }: Place): void {
  socket.send(Buffer.from(message.format(), "latin1"), port, host);
}

function placeOf(uri: Uri): Place {
  return isSipUri(uri) ? { host: uri.host, port: uri.port ?? port } : { host: "", port: 0 };
}

function userOf(uri: Uri): string {
  return (isSipUri(uri) && uri.user) || "";
}

/** Where an answer goes, by the Via that is now on top. */
function back(message: SipMessage): Place | undefined {
  const { vias } = message;
  const via = vias === MALFORMED ? undefined : vias[0];
  if (via === undefined) return undefined;
  const said = { host: via.host, port: via.port ?? port };
  if (answersTo === "via") return said;
  return { host: via.params.get("received") ?? said.host, port: Number(via.params.get("rport") ?? said.port) };
}

function answer(request: SipRequest, response: SipResponse): void {
  const to = back(request);
  if (to !== undefined) send(response, to);
}

function register(request: SipRequest, seen: Place): void {
  const { contacts } = request;
  if (contacts === "*" || contacts === MALFORMED || contacts[0] === undefined) return;
  const [{ uri, uriText }] = contacts;
  const phone = { contact: uriText, said: placeOf(uri), seen };
  phones.set(userOf(request.to.uri), phone);
  phones.set(userOf(uri), phone);
  answer(request, createResponse(request, 200, { toTag: "naive", headers: [["Contact", `<${uriText}>;expires=60`]] }));
}

function forward(request: SipRequest): void {
  const phone = phones.get(userOf(request.uri));
  if (phone === undefined) return answer(request, createResponse(request, 404, { toTag: "naive" }));
  const branch = createHash("sha256")
    .update(request.header("via") ?? "")
    .digest("hex")
    .slice(0, 16);
  request.headers.remove("Route");
  request.replaceUri(phone.contact);
  request.prependVia(`SIP/2.0/UDP ${address}:${port};branch=z9hG4bK${branch}`);
  if (request.method === "INVITE") request.headers.prepend("Record-Route", `<sip:${address}:${port};lr>`);
  send(request, answersTo === "via" ? phone.said : phone.seen);
}

socket.on("message", (bytes: Buffer, { address: host, port }: RemoteInfo) => {
  const message = parseMessage(bytes.toString("latin1"));
  if (message.kind === "failure") return;
  if (message.kind === "response") {
    message.removeTopVia();
    const to = back(message);
    if (to !== undefined) send(message, to);
    return;
  }
  message.setViaParam("received", host);
  message.setViaParam("rport", `${port}`);
  if (message.method === "REGISTER") register(message, { host, port });
  else forward(message);
});
socket.bind(port, address, () => console.log("ready"));
