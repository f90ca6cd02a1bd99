/**
 * A program that stands on a host of the lab and does what it is told, as plainly as the documents draw it: UDP sockets,
 * a STUN question, an allocation, an HTTP proxy; and an ICE connection. One JSON command a line on standard input, one JSON answer a line on
 * standard output.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { blankAddress, formatAddress } from "../core/base/address.ts";
import { Attribute, MessageClass, Method } from "../core/stun/registry.ts";
import { StunView } from "../core/stun/view.ts";
import { messageId, StunWriter } from "../core/stun/writer.ts";
import { PooledRandom } from "../node/random.ts";
import { parsePeer } from "../node/turn-client/peer.ts";
import { TurnAllocation } from "../node/turn-client/turn-allocation.ts";
import { IceEnd } from "./ice-end.ts";
import type { Command, Heard, Order } from "./orders.ts";

const heard: Map<string, Heard[]> = new Map();
const sockets: Map<string, Socket> = new Map();
const senders: Map<string, (to: string, data: Uint8Array) => void> = new Map();
const relays: Map<string, TurnAllocation> = new Map();
const iceEnds: Map<string, IceEnd> = new Map();
const echoing: Set<string> = new Set();
const questions: Map<string, (answer: Buffer) => void> = new Map();
/** Texts whose echo somebody waits for, with the socket that hears them. */
const awaited: Map<string, () => void> = new Map();
const random = new PooledRandom();
const askAgainMs = 500;
const patienceMs = 2_000;

function note(id: string, from: string, data: Uint8Array): void {
  let all = heard.get(id);
  if (all === undefined) heard.set(id, (all = []));
  const text = Buffer.from(data).toString();
  all.push({ from, text, at: performance.timeOrigin + performance.now() });
  awaited.get(`${id} ${text}`)?.();
}

function socketOf(id: string): Socket {
  const socket = sockets.get(id);
  if (socket === undefined) throw new Error(`open socket ${id} first`);
  return socket;
}

function senderOf(id: string): (to: string, data: Uint8Array) => void {
  const sender = senders.get(id);
  if (sender === undefined) throw new Error(`open or allocate ${id} first`);
  return sender;
}

function relayOf(id: string): TurnAllocation {
  const relay = relays.get(id);
  if (relay === undefined) throw new Error(`allocate ${id} first`);
  return relay;
}

function iceEndOf(id: string): IceEnd {
  const end = iceEnds.get(id);
  if (end === undefined) throw new Error(`open ICE connection ${id} first`);
  return end;
}

async function open(id: string, port: number): Promise<string> {
  const socket = createSocket("udp4");
  socket.bind(port);
  await once(socket, "listening");
  sockets.set(id, socket);
  senders.set(id, (to, data) => sendTo(socket, to, data));
  socket.on("error", () => {}); // An answer that nobody waits for any more.
  socket.on("message", (data, { address, port: from }) => {
    const answered = questions.get(data.toString("hex", 8, 20));
    if (answered !== undefined) return answered(data);
    note(id, `${address}:${from}`, data);
    if (echoing.has(id)) socket.send(data, from, address);
  });
  return `0.0.0.0:${socket.address().port}`;
}

function mappedIn(data: Uint8Array | undefined, plain: boolean): string {
  const [view, mapped] = [new StunView(), blankAddress()];
  if (data === undefined || view.decode(data) !== undefined) return "";
  const index = view.indexOf(plain ? Attribute.MappedAddress : Attribute.XorMappedAddress);
  if (index < 0) return "";
  const isRead = plain ? view.addressAt(index, mapped) : view.xorAddressAt(index, mapped);
  return isRead ? formatAddress(mapped) : "";
}

/** What the server sees of the socket; empty when it does not answer. */
async function observe({ id, server: to, within = 5_000, plain = false }: Order<"observe">): Promise<string> {
  const socket = socketOf(id);
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const transaction = random.bytes(12);
  const request = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(transaction)).finish();
  const key = Buffer.from(transaction).toString("hex");
  questions.set(key, resolve);
  const ask = (): void => sendTo(socket, to, request);
  const [again, end] = [setInterval(ask, askAgainMs), setTimeout(() => resolve(undefined), within)];
  ask();
  const answer = await promise;
  clearInterval(again);
  clearTimeout(end);
  questions.delete(key);
  return mappedIn(answer, plain);
}

function sendTo(socket: Socket, to: string, data: Uint8Array): void {
  const [address, port] = to.split(":");
  socket.send(data, Number(port), address);
}

async function send({ id, to, texts, every = 0 }: Order<"send">): Promise<void> {
  const start = performance.now();
  for (const [i, text] of texts.entries()) {
    if (every > 0) await delay(Math.max(0, start + i * every - performance.now()));
    senderOf(id)(to, Buffer.from(text));
  }
}

async function time({ id, to, count }: Order<"time">): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < count; i++) {
    const text = `time ${i}`;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    awaited.set(`${id} ${text}`, () => resolve(true));
    const [begun, lost] = [performance.now(), setTimeout(() => resolve(false), patienceMs)];
    senderOf(id)(to, Buffer.from(text));
    if (await promise) took.push(performance.now() - begun);
    clearTimeout(lost);
  }
  return took;
}

async function allocate({ id, within = 10_000, proxy, ...login }: Order<"allocate">): Promise<string[]> {
  const relay = await TurnAllocation.open({
    url: login.url,
    username: login.username,
    credential: login.credential,
    signal: AbortSignal.timeout(within),
    ...(proxy === undefined ? {} : { proxy }),
    // The lab's server has made its own certificate.
    tls: { rejectUnauthorized: false },
    onData: (data, peer) => {
      note(id, formatAddress(peer), data);
      if (echoing.has(id)) relay.send(peer, data);
    },
  });
  relays.set(id, relay);
  senders.set(id, (to, data) => relay.send(parsePeer(to), data));
  return [...relay.relayed.map(formatAddress), formatAddress(relay.mapped)];
}

async function iceOpen(order: Order<"iceOpen">): Promise<string> {
  const end = await IceEnd.open(order, (from, data) => note(order.id, from, data));
  iceEnds.set(order.id, end);
  senders.set(order.id, (_to, data) => end.connection.send(data));
  return end.connection.localDescription();
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
      return observe(command);
    case "echo":
      echoing.add(command.id);
      return undefined;
    case "send":
      return send(command);
    case "time":
      return time(command);
    case "heard":
      return heard.get(command.id) ?? [];
    case "allocate":
      return allocate(command);
    case "bind":
      return relayOf(command.id).bind(parsePeer(command.peer));
    case "proxy":
      return serveProxy(command.port);
    case "iceOpen":
      return iceOpen(command);
    case "iceMeet":
      return iceEndOf(command.id).meet(command.description);
    case "icePath":
      return iceEndOf(command.id).path;
    case "iceClose":
      return iceEndOf(command.id).connection.close();
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
