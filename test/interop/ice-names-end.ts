/**
 * A process on a host of the lab that has one ICE connection, or lies about names: one JSON command a line on standard
 * input, one JSON answer a line on standard output.
 */
import { createInterface } from "node:readline";
import mdns from "multicast-dns";
import { formatAddress } from "../../src/core/base/address.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import type { IceConnectionOptions } from "../../src/node/ice/options.ts";

export type Command =
  | { do: "open"; options: IceConnectionOptions; trickle?: boolean }
  /** Gives its description, or all that it has told one by one. */
  | { do: "describe" }
  | { do: "meet"; description: string }
  | { do: "candidate"; line: string }
  /** Its path, as soon as it has one. */
  | { do: "connect" }
  /** What became of names; waits for as many failures. */
  | { do: "failures"; count: number }
  | { do: "close" }
  /** Answers every question for an address with these, from now on. */
  | { do: "lie"; addresses: readonly string[] };

export interface Answer {
  readonly description?: string;
  readonly lines?: readonly string[];
  readonly kind?: string;
  readonly code?: string | undefined;
  readonly to?: string;
  readonly type?: string;
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
    case "close":
      await ice().close();
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
