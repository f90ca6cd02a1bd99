/** Transactions on a virtual clock, and messages to give them. */
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import { after, type Instant } from "../../../../src/core/base/machine.ts";
import type { SipFlow, SipTransport } from "../../../../src/core/sip/flow.ts";
import type { SipRequest, SipResponse } from "../../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import type { TransactionOutput } from "../../../../src/core/sip/transaction/outputs.ts";
import { Transactions } from "../../../../src/core/sip/transaction/transactions.ts";
import { SeededRandom } from "../../../support/crypto.ts";

export function flow(transport: SipTransport = "udp"): SipFlow {
  const [local, remote] = [parseIp("192.0.2.1", 5060) as Address, parseIp("198.51.100.7", 40_000) as Address];
  return { transport, local, remote, connection: transport === "udp" ? 0 : 1 };
}

export function request(
  method: string,
  more: { branch?: string; cseq?: number; toTag?: string; via?: string } = {},
): SipRequest {
  const { branch = "z9hG4bKa", cseq = 1, toTag, via = `SIP/2.0/UDP 10.0.0.2:5060;branch=${branch}` } = more;
  return parsed(
    [
      `${method} sip:bob@example.org SIP/2.0`,
      ...(via === "" ? [] : [`Via: ${via}`]),
      "Route: <sip:proxy.example.org;lr>",
      "Max-Forwards: 70",
      "From: <sip:alice@example.org>;tag=f",
      `To: <sip:bob@example.org>${toTag === undefined ? "" : `;tag=${toTag}`}`,
      "Call-ID: c@10.0.0.2",
      `CSeq: ${cseq} ${method}`,
    ],
    "request",
  );
}

/** As the far end answers `sent`, as it was sent. */
export function answer(sent: string, status: number, tag = "t"): SipResponse {
  const lines = sent.split("\r\n").filter((line) => /^(Via|From|Call-ID|CSeq):/.test(line));
  return parsed([`SIP/2.0 ${status} Whatever`, ...lines, `To: <sip:bob@example.org>;tag=${tag}`], "response");
}

function parsed<K extends "request" | "response">(lines: readonly string[], kind: K) {
  const message = parseMessage(`${lines.join("\r\n")}\r\nContent-Length: 0\r\n\r\n`);
  if (message.kind !== kind) throw new Error(`${kind}: ${JSON.stringify(message)}`);
  return message as K extends "request" ? SipRequest : SipResponse;
}

export class World {
  readonly transactions: Transactions = new Transactions({ random: new SeededRandom(1) });
  now: Instant = 0 as Instant;

  /** All that was asked for and told since the last time. */
  drain(): TransactionOutput[] {
    const outputs: TransactionOutput[] = [];
    for (let one = this.transactions.pollOutput(); one !== undefined; one = this.transactions.pollOutput()) {
      outputs.push(one);
    }
    return outputs;
  }

  /** First lines of what was sent, and the kinds of what was told. */
  summary(): string[] {
    return this.drain().map((output) => (output.kind === "send" ? firstWords(output.text) : told(output)));
  }

  /** Lets time pass, and says what happened when, in milliseconds from now. */
  pass(ms: number): string[] {
    const [from, until] = [this.now, after(this.now, ms)];
    const happened: string[] = [];
    for (let next = this.transactions.pollTimeout(); next !== undefined && next <= until; ) {
      this.now = next;
      this.transactions.handleTimeout(next);
      for (const what of this.summary()) happened.push(`${next - from} ${what}`);
      next = this.transactions.pollTimeout();
    }
    this.now = until;
    return happened;
  }

  /** Sends a request of ours. */
  send(method: string, transport: SipTransport = "udp") {
    const sending = { to: flow(transport), sentBy: "192.0.2.1:5060", owner: "me" };
    return this.transactions.request(
      request(method, { via: "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKother" }),
      sending,
      this.now,
    );
  }
}

function firstWords(text: string): string {
  const line = text.slice(0, text.indexOf("\r\n"));
  return line.startsWith("SIP/2.0") ? line.slice(8, 11) : (line.split(" ", 1)[0] as string);
}

function told(output: Exclude<TransactionOutput, { kind: "send" }>): string {
  if (output.kind === "response") return `response ${output.response.status}`;
  if (output.kind === "failed") return `failed ${output.why}`;
  return output.kind;
}
