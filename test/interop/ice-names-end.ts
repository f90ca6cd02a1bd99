/**
 * A process on a host of the lab that has one ICE connection, or lies about names: one JSON command a line on standard
 * input, one JSON answer a line on standard output.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createInterface } from "node:readline";
import mdns from "multicast-dns";
import { formatAddress, formatIp, parseIp } from "../../src/core/base/address.ts";
import { Attribute, MessageClass, Method } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { StunWriter } from "../../src/core/stun/writer.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import type { IceConnectionOptions } from "../../src/node/ice/options.ts";

export type Command =
  | { do: "open"; options: IceConnectionOptions }
  /** Gives its description, or all that it has told one by one. */
  | { do: "describe" }
  | { do: "meet"; description: string }
  | { do: "candidate"; line: string }
  /** Its path, as soon as it has one. */
  | { do: "connect" }
  /** What became of names; waits for as many failures. */
  | { do: "failures"; count: number }
  /** Its peer's candidates: of which type, and where. */
  | { do: "remote" }
  /** Takes the port of mDNS, and shares it with nobody. */
  | { do: "hog" }
  /** Answers Binding requests, at this address. */
  | { do: "stun"; address: string }
  /** Answers every question for an address with these, from now on. */
  | { do: "lie"; addresses: readonly string[] };

export interface Answer {
  readonly description?: string;
  readonly lines?: readonly string[];
  readonly kind?: string;
  readonly code?: string | undefined;
  readonly to?: string;
  readonly type?: string;
  readonly remote?: readonly string[];
  readonly failures?: readonly string[];
  readonly events?: readonly string[];
  readonly failure?: string;
}

const lines: string[] = [];
const events: string[] = [];
let connection: IceConnection | undefined;
let chosen: string | undefined;

function ice(): IceConnection {
  if (connection === undefined) throw new Error("open a connection first");
  return connection;
}

async function open(options: IceConnectionOptions): Promise<Answer> {
  connection = await IceConnection.open({
    ...options,
    onCandidate: (line) => lines.push(line),
    onEvent: (event) => {
      events.push(event.type);
      if (event.type === "selected") chosen = event.reason.code;
    },
  });
  return {};
}

async function failures(count: number): Promise<Answer> {
  while (ice().report.nameFailures.length < count) await new Promise((resolve) => setTimeout(resolve, 50));
  return { failures: ice().report.nameFailures, events };
}

async function connect(): Promise<Answer> {
  const { kind, remote } = await ice().connected();
  return { kind, code: chosen, to: formatAddress(remote.address), type: remote.type, events };
}

function lie(addresses: readonly string[]): Answer {
  const liar = mdns();
  liar.on("query", ({ questions = [] }) => {
    for (const { name } of questions.filter(({ type }) => type === "A")) {
      liar.respond(addresses.map((data) => ({ type: "A", name, ttl: 120, data })));
    }
  });
  return {};
}

async function take(type: "udp4" | "udp6"): Promise<void> {
  const socket = createSocket({ type, ipv6Only: type === "udp6" }).bind(5353);
  await once(socket, "listening");
}

async function answerStun(address: string): Promise<void> {
  const socket = createSocket("udp4").bind(3478, address);
  await once(socket, "listening");
  const [view, writer] = [new StunView(), new StunWriter()];
  socket.on("message", (data, from) => {
    if (view.decode(data) !== undefined) return;
    const mapped = parseIp(from.address, from.port);
    if (mapped === undefined) return;
    writer.begin(Method.Binding, MessageClass.Success, data.subarray(4, 20));
    socket.send(writer.xorAddress(Attribute.XorMappedAddress, mapped).finish(), from.port, from.address);
  });
}

async function run(command: Command): Promise<Answer> {
  switch (command.do) {
    case "open":
      return open(command.options);
    case "describe":
      return { description: await ice().localDescription(), lines, events };
    case "meet":
      ice().setRemoteDescription(command.description);
      return {};
    case "candidate":
      ice().addRemoteCandidate(command.line);
      return {};
    case "connect":
      return connect();
    case "failures":
      return failures(command.count);
    case "remote":
      return { remote: ice().report.remote.map(({ type, address }) => `${type} ${formatIp(address)}`) };
    case "hog":
      await Promise.all([take("udp4"), take("udp6")]);
      return {};
    case "stun":
      await answerStun(command.address);
      return {};
    case "lie":
      return lie(command.addresses);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(JSON.parse(line) as Command).catch((error: Error) => ({ failure: error.message }));
  console.log(JSON.stringify(answer));
}
process.exit();
