/**
 * A process that stands on a host of the lab and does what it is told: one JSON command a line on standard input,
 * one JSON answer a line on standard output. It is a TURN client, or a plain UDP socket.
 *
 *   node test/interop/endpoint.ts '{"host":"203.0.113.1","port":3478,"username":"alice","password":"wonderland"}'
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type Address, formatAddress, parseIp } from "../../src/core/base/address.ts";
import { Attribute, FAMILY_IPV6 } from "../../src/core/stun/registry.ts";
import { TurnClient, type TurnClientOptions } from "../support/turn-client.ts";

export type Command =
  /** Answers with what was relayed (one or two addresses) and with the mapped address. */
  | { do: "allocate"; dual?: boolean }
  /** Gives the allocation up. */
  | { do: "release" }
  | { do: "permit"; peer: string }
  | { do: "bindChannel"; channel: number; peer: string }
  /** Through the relay: on a channel, or to a peer in Send indications. */
  | { do: "relay"; to: number | string; texts: readonly string[] }
  /** From a plain socket. */
  | { do: "send"; to: string; texts: readonly string[] }
  /** Sends back what comes to a plain socket at this address. */
  | { do: "echo"; at: string }
  /** From that socket, to whoever it last heard from. */
  | { do: "call"; texts: readonly string[] }
  /** Answers with all texts that were relayed to it so far; a plain socket with who they came from, each once. */
  | { do: "heard" };

export interface Answer {
  relayed?: readonly string[];
  mapped?: string;
  heard?: readonly string[];
  sources?: readonly string[];
  failure?: string;
}

const options = JSON.parse(process.argv[2] ?? "{}") as TurnClientOptions;
const heard: string[] = [];
const sources = new Set<string>();
let client: TurnClient | undefined;
let plain: Socket | undefined;
let last: { address: string; port: number } | undefined;

function parse(text: string): Address {
  const colon = text.lastIndexOf(":");
  const address = parseIp(text.slice(0, colon).replace(/^\[|\]$/g, ""), Number(text.slice(colon + 1)));
  if (address === undefined) throw new Error(`not a transport address: ${text}`);
  return address;
}

function ipOf(text: string): string {
  return text.slice(0, text.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

async function openSocket(at: string): Promise<Socket> {
  const socket = createSocket(at.startsWith("[") ? "udp6" : "udp4");
  socket.bind(parse(at).port, ipOf(at));
  await once(socket, "listening");
  return socket;
}

async function listen(to: TurnClient): Promise<void> {
  for (;;) heard.push(Buffer.from((await to.receive({ within: 2 ** 30 })).data).toString());
}

async function allocate(dual: boolean): Promise<Answer> {
  client = await TurnClient.connect(options);
  listen(client).catch(() => {});
  const { relayed, mapped } = await client.allocate({
    fill: (writer) => {
      if (dual) writer.u32(Attribute.AdditionalAddressFamily, FAMILY_IPV6 * 0x1000000);
    },
  });
  return { relayed: relayed.map(formatAddress), mapped: formatAddress(mapped) };
}

async function obey(command: Command): Promise<Answer> {
  switch (command.do) {
    case "allocate":
      return allocate(command.dual ?? false);
    case "release":
      await client!.refresh(0);
      return {};
    case "permit":
      await client!.permit(ipOf(command.peer));
      return {};
    case "bindChannel":
      await client!.bindChannel(command.channel, parse(command.peer));
      return {};
    case "relay":
      for (const text of command.texts) {
        if (typeof command.to === "number") client!.sendOnChannel(command.to, Buffer.from(text));
        else client!.send(parse(command.to), Buffer.from(text));
      }
      return {};
    case "send": {
      const socket = await openSocket(command.to.startsWith("[") ? "[::]:0" : "0.0.0.0:0");
      const { port } = parse(command.to);
      for (const text of command.texts) await new Promise((sent) => socket.send(text, port, ipOf(command.to), sent));
      socket.close();
      return {};
    }
    case "echo": {
      const socket = await openSocket(command.at);
      plain = socket;
      socket.on("message", (data, from) => {
        last = from;
        sources.add(`${from.address}:${from.port}`);
        socket.send(data, from.port, from.address);
      });
      return {};
    }
    case "call":
      for (const text of command.texts) plain!.send(text, last!.port, last!.address);
      return {};
    case "heard":
      return { heard, sources: [...sources] };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(JSON.parse(line) as Command).catch((error): Answer => ({ failure: String(error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
