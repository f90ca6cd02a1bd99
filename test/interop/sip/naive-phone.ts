/**
 * A phone as drawn in textbooks, for the naive proxy: it asks a STUN server how its two sockets are seen, writes that into
 * Via, Contact and its description, and believes it. It prints what happens, a word a line.
 *
 *   node naive-phone.ts ADDRESS USER PROXY STUN_SERVER STUN_PORT [CALLEE]
 */
import { randomBytes } from "node:crypto";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { blankAddress, formatAddress, formatIp } from "../../../src/core/base/address.ts";
import { createRequest, createResponse, type HeaderLine } from "../../../src/core/sip/message/build.ts";
import { MALFORMED } from "../../../src/core/sip/message/characters.ts";
import type { SipMessage, SipResponse } from "../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../src/core/sip/message/parse.ts";
import { Attribute, MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { StunView } from "../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import { voiceSdp } from "../../core/relay/world.ts";
import { rtp } from "../../core/rtp/packets.ts";

const [address, user, proxy, stunServer, stunPort, callee] = process.argv.slice(2) as [string, string, ...string[]];
const domain = "example.org";
const ssrc = randomBytes(4).readUInt32BE();
const tag = randomBytes(4).toString("hex");

function bound(port: number): Promise<Socket> {
  const socket = createSocket("udp4");
  return new Promise((resolve) => socket.bind(port, address, () => resolve(socket)));
}

/** How the server sees the socket. */
function seen(socket: Socket): Promise<{ readonly text: string; readonly ip: string }> {
  const request = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(randomBytes(12))).finish();
  return new Promise((resolve) => {
    socket.once("message", (answer: Buffer) => {
      const view = new StunView();
      const mapped = blankAddress();
      const isUnderstood = view.decode(answer) === undefined && view.has(Attribute.XorMappedAddress);
      if (!isUnderstood || !view.xorAddressAt(view.indexOf(Attribute.XorMappedAddress), mapped)) {
        throw new Error("no address in the STUN server's answer");
      }
      resolve({ text: formatAddress(mapped), ip: formatIp(mapped) });
    });
    socket.send(request, Number(stunPort), stunServer);
  });
}

const [signaling, media] = await Promise.all([bound(5060), bound(7000)]);
const [signalingPlace, mediaPlace] = [await seen(signaling), await seen(media)];
const contact = `<sip:${user}@${signalingPlace.text}>`;
const description = voiceSdp(mediaPlace.text);
let heard = 0;

function send(message: SipMessage): void {
  const [host, port] = (proxy as string).split(":");
  signaling.send(Buffer.from(message.format(), "latin1"), Number(port), host);
}

function ask(method: string, uri: string, to: string, more: readonly HeaderLine[], body = ""): void {
  const request = createRequest({
    method,
    uri,
    headers: [
      ["Via", `SIP/2.0/UDP ${signalingPlace.text};branch=z9hG4bK${randomBytes(6).toString("hex")}`],
      ["Max-Forwards", "70"],
      ["From", `<sip:${user}@${domain}>;tag=${tag}`],
      ["To", to],
      ["Call-ID", `${method === "REGISTER" ? "r" : "c"}-${user}`],
      ["CSeq", `1 ${method}`],
      ["Contact", contact],
      ...more,
    ],
  });
  if (body !== "") request.setBody(body, "application/sdp");
  send(request);
}

/** Speaks to where the other says that it is. */
function speak(body: string): void {
  const [host, port] = [/c=IN IP4 (\S+)/.exec(body)?.[1], /m=audio (\d+)/.exec(body)?.[1]];
  console.log(`speaks ${host}:${port}`);
  let sequence = 0;
  setInterval(() => media.send(rtp({ ssrc, sequence: ++sequence, timestamp: sequence * 160 }), Number(port), host), 20);
}

function handleResponse(response: SipResponse): void {
  if (response.status < 200) return;
  console.log(`${response.cseq.method} ${response.status}`);
  if (response.cseq.method === "REGISTER") clearInterval(registering);
  if (response.cseq.method === "REGISTER" && callee !== undefined) {
    ask("INVITE", `sip:${callee}@${domain}`, `<sip:${callee}@${domain}>`, [], description);
  } else if (response.cseq.method === "INVITE" && response.status === 200) {
    const { contacts } = response;
    if (contacts === "*" || contacts === MALFORMED || contacts[0] === undefined) return;
    ask("ACK", contacts[0].uriText, response.header("to") ?? "", []);
    speak(response.body);
  }
}

signaling.on("message", (bytes: Buffer) => {
  const message = parseMessage(bytes.toString("latin1"));
  if (message.kind === "failure") return;
  if (message.kind === "response") return handleResponse(message);
  console.log(`got ${message.method}`);
  if (message.method !== "INVITE") return;
  const routes = message.headers.values("record-route").map((value) => ["Record-Route", value] as const);
  const answer = createResponse(message, 200, { toTag: tag, headers: [...routes, ["Contact", contact]] });
  answer.setBody(description, "application/sdp");
  send(answer);
  speak(message.body);
});
media.on("message", (_bytes: Buffer, { address: host, port }: RemoteInfo) => {
  heard++;
  if (heard === 50) console.log(`heard ${host}:${port}`);
});
console.log(`is ${signalingPlace.text} ${mediaPlace.text}`);
const register = (): void => ask("REGISTER", `sip:${domain}`, `<sip:${user}@${domain}>`, [["Expires", "60"]]);
const registering = setInterval(register, 500);
register();
