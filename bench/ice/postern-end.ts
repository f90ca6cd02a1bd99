/** Postern's end of a session, in a host of the lab: one JSON command a line, one JSON answer a line. */
import { createInterface } from "node:readline";
import type { IceEvent } from "../../src/core/ice/outputs.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import type { IceServer } from "../../src/node/ice/options.ts";
import { type Mark, type Moment, type Packet, packetEveryMs, readPacket, wallTime } from "./contender.ts";

export type PosternOrder =
  | { readonly do: "offer"; readonly iceServers: readonly IceServer[] }
  | { readonly do: "answer"; readonly iceServers: readonly IceServer[]; readonly offer: string }
  | { readonly do: "accept"; readonly answer: string }
  | { readonly do: "follow"; readonly offer: string }
  | { readonly do: "restart" | "talk" | "hush" | "moments" | "heard" | "close" };

/** Once, for the session that there is now. */
let connection: IceConnection | undefined;
let moments: Moment[] = [];
let heard: Packet[] = [];
let talking: NodeJS.Timeout | undefined;
let sent = 0;

function mark(name: Mark): void {
  moments.push({ mark: name, at: wallTime() });
}

function follow(event: IceEvent): void {
  if (event.type === "gathered" || event.type === "usable") mark(event.type);
  if (event.type === "selected") mark("nominated");
}

async function open(iceServers: readonly IceServer[], role: "controlling" | "controlled"): Promise<IceConnection> {
  [moments, heard, sent] = [[], [], 0];
  mark("gathering");
  connection = await IceConnection.open({ iceServers, role, onEvent: follow, onData });
  return connection;
}

function onData(data: Uint8Array): void {
  const packet = readPacket(Buffer.from(data).toString(), wallTime());
  if (packet !== undefined) heard.push(packet);
}

function own(): IceConnection {
  if (connection === undefined) throw new Error("no session");
  return connection;
}

function meet(description: string): Promise<string> {
  mark("met");
  own().setRemoteDescription(description);
  return own().localDescription();
}

function hush(): number {
  clearInterval(talking);
  return sent;
}

async function obey(order: PosternOrder): Promise<unknown> {
  switch (order.do) {
    case "offer":
      return (await open(order.iceServers, "controlling")).localDescription();
    case "answer":
      await open(order.iceServers, "controlled");
      return meet(order.offer);
    case "accept":
      return void meet(order.answer);
    case "restart":
      mark("restart");
      own().restart();
      return own().localDescription();
    case "follow":
      return meet(order.offer);
    case "talk":
      talking = setInterval(() => own().send(Buffer.from(`${++sent} ${wallTime()}`)), packetEveryMs);
      return;
    case "hush":
      return hush();
    case "moments":
      return moments;
    case "heard":
      return heard;
    case "close":
      hush();
      return connection?.close();
  }
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const value = await obey(JSON.parse(line) as PosternOrder);
  console.log(JSON.stringify({ value: value ?? null }));
}
process.exit(0);
