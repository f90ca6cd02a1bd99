/** What the procedures of a user agent share, and the small steps that all of them take. */
import { Deadlines } from "../../base/deadlines.ts";
import { after, type Instant } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import type { Ports } from "../../base/ports.ts";
import { hexOf } from "../digest/algorithm.ts";
import { createResponse, type HeaderLine, type ResponseParts } from "../message/build.ts";
import type { SipMessage } from "../message/message.ts";
import { bodyParts } from "../message/multipart.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import type { Transactions } from "../transaction/transactions.ts";
import type { UaCall, UaTimer } from "./call.ts";
import type { UaCallEnd, UserAgentOutput } from "./outputs.ts";

export type UaPorts = Pick<Ports, "crypto" | "random">;

/** What is understood here. Reliable provisional responses and session timers are not, and so are not announced. */
export const UA_METHODS: readonly string[] = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE"];
export const SDP = "application/sdp";
/** Bytes of a tag: nobody who has not seen it can speak within the dialog. */
const TAG_LENGTH = 8;

export class UaContext {
  readonly transactions: Transactions;
  readonly ports: UaPorts;
  readonly outputs: OutputQueue<UserAgentOutput> = new OutputQueue();
  readonly deadlines: Deadlines<UaTimer> = new Deadlines();
  /** Calls by the keys of their dialogs, early ones included. */
  readonly dialogs: Map<string, UaCall> = new Map();
  readonly calls: Set<UaCall> = new Set();
  /** INVITEs that have begun a call which is not over. */
  readonly invites: Set<string> = new Set();
  #lastCall = 0;

  constructor(transactions: Transactions, ports: UaPorts) {
    this.transactions = transactions;
    this.ports = ports;
  }

  nextCall(): number {
    return ++this.#lastCall;
  }

  newTag(): string {
    return hexOf(this.ports.random.bytes(TAG_LENGTH));
  }

  start(timer: UaTimer, now: Instant, ms: number): void {
    this.deadlines.set(timer, after(now, ms));
  }

  respond(transaction: ServerTransaction, status: number, now: Instant, parts: ResponseParts = {}): boolean {
    const toTag = parts.toTag ?? this.newTag();
    return this.transactions.respond(
      transaction,
      createResponse(transaction.request, status, { ...parts, toTag }),
      now,
    );
  }

  /** The call is over, and told to be. What it still owes the protocol stays with its transactions. */
  end(call: UaCall, why: UaCallEnd, status?: number, reason?: string): void {
    if (call.state === "ended") return;
    call.state = "ended";
    call.accepted = undefined;
    call.asked = undefined;
    call.acknowledging = undefined;
    for (const timer of [call.repeat, call.unacknowledged, call.again]) this.deadlines.clear(timer);
    if (call.dialog !== undefined) this.dialogs.delete(call.dialog.key);
    for (const { dialog } of call.early.values()) this.dialogs.delete(dialog.key);
    this.calls.delete(call);
    this.invites.delete(call.inviteKey);
    this.outputs.push({ kind: "ended", call, why, status, reason });
  }
}

/** The session description in a message, alone or among other parts; undefined where there is none. */
export function descriptionIn(message: SipMessage): string | undefined {
  if (message.body === "") return undefined;
  const parts = bodyParts(message.body, message.header("content-type") ?? SDP);
  return parts.find(({ contentType }) => contentType === SDP)?.text;
}

/** What every message says that may set or change a session. */
export function sessionHeaders(call: UaCall, body: string | undefined): HeaderLine[] {
  const headers: HeaderLine[] = [
    ["Contact", `<${call.local.contact}>`],
    ["Allow", UA_METHODS.join(", ")],
  ];
  if (body !== undefined) headers.push(["Content-Type", SDP]);
  return headers;
}
