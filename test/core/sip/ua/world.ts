/** Two user agents with a network between them that delays, loses and doubles, on a virtual clock. */
import assert from "node:assert/strict";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import { after, type Instant } from "../../../../src/core/base/machine.ts";
import type { DigestAccount } from "../../../../src/core/sip/digest/answer.ts";
import type { SipFlow, SipTransport } from "../../../../src/core/sip/flow.ts";
import { createResponse, type ResponseParts } from "../../../../src/core/sip/message/build.ts";
import type { SipMessage, SipRequest } from "../../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import type { TransactionOutput } from "../../../../src/core/sip/transaction/outputs.ts";
import type { ServerTransaction } from "../../../../src/core/sip/transaction/server.ts";
import { Transactions } from "../../../../src/core/sip/transaction/transactions.ts";
import type { LocalParty, UaCall } from "../../../../src/core/sip/ua/call.ts";
import type { UserAgentOutput } from "../../../../src/core/sip/ua/outputs.ts";
import { UserAgent } from "../../../../src/core/sip/ua/user-agent.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";

/** Milliseconds from one agent to the other. */
export const DELAY = 20;

export function read(text: string): SipMessage {
  const message = parseMessage(text);
  assert.ok(message.kind !== "failure", text);
  return message;
}

/** `INVITE`, or `200 INVITE`. */
export function nameOf(message: SipMessage): string {
  return message.kind === "request" ? message.method : `${message.status} ${message.cseq.method}`;
}

export class Agent {
  readonly name: string;
  readonly world: World;
  readonly transactions: Transactions;
  readonly ua: UserAgent;
  readonly local: LocalParty;
  /** To the other one. */
  readonly hop: SipFlow;
  /** What the agent told, as words. */
  log: string[] = [];
  /** Every call that it had, in order. */
  readonly calls: UaCall[] = [];
  /** What it does by itself with what the other side wants. */
  answers = true;
  /** Requests are the test's, and not the agent's, from now on. */
  isRaw = false;
  readonly requests: ServerTransaction[] = [];
  #said = 0;

  constructor(world: World, name: string, seed: number, hop: SipFlow, account?: DigestAccount) {
    this.world = world;
    this.name = name;
    this.hop = hop;
    const random = new SeededRandom(seed);
    this.transactions = new Transactions({ random });
    this.ua = new UserAgent(this.transactions, { crypto: testCrypto, random });
    const contact = `sip:${name}@${name}.example.com`;
    this.local = { address: `<sip:${name}@example.com>`, contact, sentBy: `${name}.example.com`, account };
  }

  /** Something that only it has said. */
  says(): string {
    this.#said++;
    return `v=0 ${this.name} ${this.#said}`;
  }

  /** Its only call, or its last. */
  get call(): UaCall {
    return this.calls.at(-1) ?? assert.fail(`${this.name} has no call`);
  }

  place(offers = true): UaCall {
    const description = offers ? this.says() : undefined;
    const call = this.ua.call(
      { local: this.local, uri: "sip:bob@example.com", hop: this.hop, description },
      this.world.now,
    );
    this.calls.push(call);
    this.settle();
    return call;
  }

  do(what: (ua: UserAgent, call: UaCall, now: Instant) => void): void {
    what(this.ua, this.call, this.world.now);
    this.settle();
  }

  respond(transaction: ServerTransaction, status: number, parts: ResponseParts = {}): void {
    const response = createResponse(transaction.request, status, { toTag: `raw-${this.name}`, ...parts });
    this.transactions.respond(transaction, response, this.world.now);
    this.settle();
  }

  receive(text: string): void {
    const message = read(text);
    const { now } = this.world;
    if (message.kind === "response") this.transactions.handleResponse(message, now);
    else this.transactions.handleRequest(message, this.hop, now);
    this.settle();
  }

  get next(): Instant | undefined {
    const times = [this.transactions.pollTimeout(), this.ua.pollTimeout()].filter((one) => one !== undefined);
    return times.length === 0 ? undefined : (Math.min(...times) as Instant);
  }

  handleTimeout(now: Instant): void {
    this.transactions.handleTimeout(now);
    this.ua.handleTimeout(now);
    this.settle();
  }

  /** What it has told since the last time. */
  take(): string[] {
    const { log } = this;
    this.log = [];
    return log;
  }

  settle(): void {
    for (;;) {
      const asked = this.transactions.pollOutput();
      if (asked !== undefined) this.#handle(asked);
      const told = this.ua.pollOutput();
      if (told !== undefined) this.#tell(told);
      if (asked === undefined && told === undefined) return;
    }
  }

  #handle(output: TransactionOutput): void {
    const { now } = this.world;
    if (output.kind === "send") this.world.carry(this, output.text);
    else if (output.kind === "request" && this.isRaw) this.requests.push(output.transaction);
    else if (output.kind === "request") {
      this.ua.handleRequest(output.transaction, { local: this.local, hop: this.hop }, now);
    } else if (output.kind === "ack") this.ua.handleAck(output.request, now);
    else if (output.kind === "response") this.ua.handleResponse(output.transaction, output.response, now);
    else if (output.kind === "failed") this.ua.handleFailed(output.transaction, now);
  }

  #tell(output: UserAgentOutput): void {
    if (output.kind === "send") return this.world.carry(this, output.text);
    if (output.kind === "incoming") this.calls.push(output.call);
    this.log.push(wordsOf(output));
    if (!this.answers) return;
    if (output.kind === "incoming") this.ua.ring(output.call, undefined, this.world.now);
    if (output.kind === "incoming" || output.kind === "offered") {
      this.ua.answer(output.call, this.says(), this.world.now);
    }
  }
}

function wordsOf(output: Exclude<UserAgentOutput, { kind: "send" }>): string {
  switch (output.kind) {
    case "incoming":
    case "offered":
      return `${output.kind} ${said(output.offer)}`;
    case "agreed":
      return `agreed ${said(output.answer)}`;
    case "progress":
      return `progress ${output.status}${output.description === undefined ? "" : ` ${said(output.description)}`}`;
    case "declined":
      return `declined ${output.status}`;
    case "ended":
      return `ended ${output.why}${output.status === undefined ? "" : ` ${output.status}`}`;
    default:
      return output.kind;
  }
}

function said(description: string | undefined): string {
  return description === undefined ? "nothing" : description.slice(4);
}

export interface Options {
  readonly transport?: SipTransport;
  /** Of ten messages this many are lost. */
  readonly loss?: number;
  readonly seed?: number;
  readonly account?: DigestAccount;
}

export class World {
  now: Instant = 0 as Instant;
  readonly alice: Agent;
  readonly bob: Agent;
  /** What was sent, when and by whom: `20 bob 180 INVITE`, lost ones too. */
  sent: string[] = [];
  /** All of it. */
  readonly messages: { readonly from: Agent; readonly message: SipMessage; readonly text: string }[] = [];
  /** Which messages the network loses. */
  loses: (from: Agent, name: string, message: SipMessage) => boolean = () => false;
  readonly #random: SeededRandom;
  readonly #loss: number;
  #underWay: { readonly at: Instant; readonly to: Agent; readonly text: string }[] = [];

  constructor({ transport = "udp", loss = 0, seed = 1, account }: Options = {}) {
    const address = (last: number) => parseIp(`192.0.2.${last}`, 5060) as Address;
    const connection = transport === "udp" ? 0 : 1;
    this.alice = new Agent(
      this,
      "alice",
      seed * 2,
      { transport, local: address(1), remote: address(2), connection },
      account,
    );
    this.bob = new Agent(
      this,
      "bob",
      seed * 2 + 1,
      { transport, local: address(2), remote: address(1), connection },
      account,
    );
    this.#random = new SeededRandom(seed);
    this.#loss = loss;
  }

  carry(from: Agent, text: string): void {
    const message = read(text);
    this.messages.push({ from, message, text });
    this.sent.push(`${this.now} ${from.name} ${nameOf(message)}`);
    if (this.loses(from, nameOf(message), message) || this.#random.below(10) < this.#loss) return;
    const to = from === this.alice ? this.bob : this.alice;
    const jitter = this.#loss === 0 ? 0 : this.#random.below(30);
    this.#underWay.push({ at: after(this.now, DELAY + jitter), to, text });
  }

  /** Puts a message of the test's own on the way. */
  inject(to: Agent, text: string): void {
    this.#underWay.push({ at: after(this.now, DELAY), to, text });
  }

  pass(ms: number): void {
    const until = after(this.now, ms);
    for (let next = this.#next(); next !== undefined && next <= until; next = this.#next()) {
      this.now = next;
      const due = this.#underWay.filter(({ at }) => at <= next);
      this.#underWay = this.#underWay.filter(({ at }) => at > next);
      for (const { to, text } of due) to.receive(text);
      for (const agent of [this.alice, this.bob]) agent.handleTimeout(next);
    }
    this.now = until;
  }

  /** What was sent since the last time. */
  take(): string[] {
    const { sent } = this;
    this.sent = [];
    return sent;
  }

  last(from: Agent, name: string): SipMessage {
    const found = this.messages.findLast((one) => one.from === from && nameOf(one.message) === name);
    return found?.message ?? assert.fail(`${from.name} has sent no ${name}`);
  }

  lastRequest(from: Agent, method: string): SipRequest {
    const message = this.last(from, method);
    assert.ok(message.kind === "request");
    return message;
  }

  #next(): Instant | undefined {
    const times = [this.alice.next, this.bob.next, ...this.#underWay.map(({ at }) => at)];
    const known = times.filter((one) => one !== undefined);
    return known.length === 0 ? undefined : (Math.min(...known) as Instant);
  }
}

/** A call that is confirmed, with empty logs. */
export function talk(options: Options = {}): World {
  const world = new World(options);
  world.alice.place();
  world.pass(200);
  assert.equal(world.alice.call.state, "confirmed");
  assert.equal(world.bob.call.state, "confirmed");
  for (const agent of [world.alice, world.bob]) agent.take();
  world.take();
  return world;
}
