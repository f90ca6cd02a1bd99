/**
 * A program that stands on a host of the lab and does what it is told, as plainly as the documents draw it: UDP sockets,
 * a STUN question, an allocation, an HTTP proxy. One JSON command a line on standard input, one JSON answer a line on
 * standard output.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { blankAddress, formatAddress } from "../core/base/address.ts";
import { Attribute, MessageClass, Method } from "../core/stun/registry.ts";
import { StunView } from "../core/stun/view.ts";
import { messageId, StunWriter } from "../core/stun/writer.ts";
import { PooledRandom } from "../node/random.ts";
import { parsePeer } from "../node/turn-client/peer.ts";
import { TurnAllocation } from "../node/turn-client/turn-allocation.ts";
import type { Command, Heard, Order } from "./orders.ts";

const heard: Map<string, Heard[]> = new Map();
const sockets: Map<string, Socket> = new Map();
const relays: Map<string, TurnAllocation> = new Map();
const echoing: Set<string> = new Set();
const questions: Map<string, (mapped: string) => void> = new Map();
const random = new PooledRandom();
const askAgainMs = 500;

function note(id: string, from: string, data: Uint8Array): void {
  let all = heard.get(id);
  if (all === undefined) heard.set(id, (all = []));
  all.push({ from, text: Buffer.from(data).toString(), at: performance.timeOrigin + performance.now() });
}

function socketOf(id: string): Socket {
  const socket = sockets.get(id);
  if (socket === undefined) throw new Error(`open socket ${id} first`);
  return socket;
}

function relayOf(id: string): TurnAllocation {
  const relay = relays.get(id);
  if (relay === undefined) throw new Error(`allocate ${id} first`);
  return relay;
}

async function open(id: string, port: number): Promise<string> {
  const socket = createSocket("udp4");
  socket.bind(port);
  await once(socket, "listening");
  sockets.set(id, socket);
  socket.on("error", () => {}); // An answer that nobody waits for any more.
  socket.on("message", (data, { address, port: from }) => {
    const answered = questions.get(data.toString("hex", 8, 20));
    if (answered !== undefined) return answered(mappedIn(data));
    note(id, `${address}:${from}`, data);
    if (echoing.has(id)) socket.send(data, from, address);
  });
  return `0.0.0.0:${socket.address().port}`;
}

function mappedIn(data: Uint8Array): string {
  const [view, mapped] = [new StunView(), blankAddress()];
  if (view.decode(data) !== undefined) return "";
  const index = view.indexOf(Attribute.XorMappedAddress);
  return index >= 0 && view.xorAddressAt(index, mapped) ? formatAddress(mapped) : "";
}

/** What the server at `to` sees of the socket; empty when it does not answer. */
async function observe(id: string, to: string, within: number): Promise<string> {
  const socket = socketOf(id);
  const { promise, resolve } = Promise.withResolvers<string>();
  const transaction = random.bytes(12);
  const request = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(transaction)).finish();
  const key = Buffer.from(transaction).toString("hex");
  questions.set(key, resolve);
  const ask = (): void => sendTo(socket, to, request);
  const [again, end] = [setInterval(ask, askAgainMs), setTimeout(() => resolve(""), within)];
  ask();
  const mapped = await promise;
  clearInterval(again);
  clearTimeout(end);
  questions.delete(key);
  return mapped;
}

function sendTo(socket: Socket, to: string, data: Uint8Array): void {
  const [address, port] = to.split(":");
  socket.send(data, Number(port), address);
}

async function allocate(id: string, { url, username, credential, proxy }: Order<"allocate">): Promise<string[]> {
  const relay = await TurnAllocation.open({
    url,
    username,
    credential,
    ...(proxy === undefined ? {} : { proxy }),
    // The lab's server has made its own certificate.
    tls: { rejectUnauthorized: false },
    onData: (data, peer) => {
      note(id, formatAddress(peer), data);
      if (echoing.has(id)) relay.send(peer, data);
    },
  });
  relays.set(id, relay);
  return [...relay.relayed.map(formatAddress), formatAddress(relay.mapped)];
}

/** RFC 9110 §9.3.6: passes bytes on to whoever is named in a CONNECT. */
async function serveProxy(port: number): Promise<void> {
  const server = createServer((_, response) => response.writeHead(405).end());
  server.on("connect", (request, client, head) => {
    const [host, to] = (request.url ?? "").split(":");
    const onward = connect(Number(to), host, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      onward.write(head);
      onward.pipe(client).pipe(onward);
    });
    for (const [one, other] of [
      [client, onward],
      [onward, client],
    ] as const) {
      one.on("error", () => other.destroy());
    }
  });
  server.listen(port);
  await once(server, "listening");
}

async function obey(command: Command): Promise<unknown> {
  switch (command.do) {
    case "open":
      return open(command.id, command.port ?? 0);
    case "observe":
      return observe(command.id, command.server, command.within ?? 5_000);
    case "echo":
      echoing.add(command.id);
      return undefined;
    case "send":
      for (const text of command.texts) sendTo(socketOf(command.id), command.to, Buffer.from(text));
      return undefined;
    case "heard":
      return heard.get(command.id) ?? [];
    case "allocate":
      return allocate(command.id, command);
    case "permit":
      return relayOf(command.id).permit(parsePeer(command.peer));
    case "bind":
      return relayOf(command.id).bind(parsePeer(command.peer));
    case "relay":
      for (const text of command.texts) relayOf(command.id).send(parsePeer(command.to), Buffer.from(text));
      return undefined;
    case "release":
      return relayOf(command.id).close();
    case "proxy":
      return serveProxy(command.port);
  }
}

async function answer(line: string): Promise<void> {
  const { n, command } = JSON.parse(line) as { n: number; command: Command };
  const outcome = await obey(command).then(
    (value) => ({ value }),
    (error: Error) => ({ failure: error.message }),
  );
  process.stdout.write(`${JSON.stringify({ n, ...outcome })}\n`);
}

process.stdout.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) void answer(line);
process.exit(0);
