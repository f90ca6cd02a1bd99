/** A proxy above its transactions, on a virtual clock; the places that it forwards to are played by the test. */
import assert from "node:assert/strict";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import { after, type Instant } from "../../../../src/core/base/machine.ts";
import type { SipFlow } from "../../../../src/core/sip/flow.ts";
import { createResponse, type HeaderLine } from "../../../../src/core/sip/message/build.ts";
import type { SipRequest, SipResponse } from "../../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import type { Branch } from "../../../../src/core/sip/proxy/fork.ts";
import type { Hop } from "../../../../src/core/sip/proxy/hop.ts";
import type { Carriage } from "../../../../src/core/sip/proxy/outputs.ts";
import { SipProxy } from "../../../../src/core/sip/proxy/sip-proxy.ts";
import type { ClientTransaction } from "../../../../src/core/sip/transaction/client.ts";
import type { ServerTransaction } from "../../../../src/core/sip/transaction/server.ts";
import { Transactions } from "../../../../src/core/sip/transaction/transactions.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";
import { request } from "../transaction/world.ts";

export function place(name: string, more: Partial<Hop> = {}): Hop {
  const [local, remote] = [parseIp("192.0.2.1", 5060), parseIp(`198.51.100.${name.charCodeAt(0)}`, 5060)] as Address[];
  const to = { transport: "udp", connection: 0, local, remote } as SipFlow;
  return { to, uri: `sip:${name}@10.0.0.2`, routes: [], recordRoute: [], sentBy: "proxy.example.org", ...more };
}

/** The caller's flow. */
export const CALLER: SipFlow = place("c").to as SipFlow;

function partsOf(text: string): SipRequest | SipResponse {
  const message = parseMessage(text);
  assert.ok(message.kind !== "failure", text);
  return message;
}

export class World {
  readonly transactions: Transactions = new Transactions({ random: new SeededRandom(1) });
  readonly proxy: SipProxy = new SipProxy(this.transactions, {
    crypto: testCrypto,
    random: new SeededRandom(2),
    loopKey: new Uint8Array(16),
  });
  now: Instant = 0 as Instant;
  /** What has happened, as words: `bob INVITE`, `caller 180`, `over bob`. */
  log: string[] = [];
  /** Requests that places got, the newest last. */
  readonly got: { readonly place: string; readonly message: SipRequest }[] = [];
  readonly answers: SipResponse[] = [];
  /** Messages that wait to be carried, where a test wants to hold them. */
  readonly held: Carriage[] = [];
  isHolding = false;
  /** Places that could not be reached, and why: `b unavailable 120`. */
  readonly failures: string[] = [];
  /** Whose request was sent last. */
  lastSent: ClientTransaction | undefined;

  call(groups: readonly (readonly Hop[])[], method = "INVITE"): ServerTransaction {
    return this.arrive(request(method), groups);
  }

  arrive(message: SipRequest, groups: readonly (readonly Hop[])[]): ServerTransaction {
    this.transactions.handleRequest(message, CALLER, this.now);
    const output = this.transactions.pollOutput();
    assert.ok(output?.kind === "request");
    this.proxy.forward(output.transaction, groups, "owner", this.now);
    this.drain();
    return output.transaction;
  }

  /** A place's answer to the request that it got last, or last by this method. */
  answer(
    name: string,
    status: number,
    more: { method?: string; tag?: string; headers?: readonly HeaderLine[] } = {},
  ): void {
    const { method = "INVITE", tag = name, headers = [] } = more;
    const last = this.got.findLast((one) => one.place === name && one.message.method === method);
    assert.ok(last, `${name} got no ${method}`);
    const response = partsOf(createResponse(last.message, status, { toTag: tag, headers }).format());
    assert.ok(response.kind === "response");
    this.transactions.handleResponse(response, this.now);
    this.drain();
  }

  cancel(invite: ServerTransaction): void {
    this.proxy.handleCancel(invite, this.now);
    this.drain();
  }

  pass(ms: number): void {
    const until = after(this.now, ms);
    for (let next = this.#next(); next !== undefined && next <= until; next = this.#next()) {
      this.now = next;
      this.transactions.handleTimeout(next);
      this.proxy.handleTimeout(next);
      this.drain();
    }
    this.now = until;
  }

  /** What has happened since the last time. */
  take(): string[] {
    const { log } = this;
    this.log = [];
    return log;
  }

  drain(): void {
    while (this.#drainTransactions() || this.#drainProxy());
  }

  #drainTransactions(): boolean {
    const asked = this.transactions.pollOutput();
    if (asked?.kind === "send") {
      this.lastSent = asked.by;
      if ("remote" in asked.to) this.#note(asked.to, asked.text);
    } else if (asked?.kind === "response") this.proxy.handleResponse(asked.transaction, asked.response, this.now);
    else if (asked?.kind === "failed") this.proxy.handleFailed(asked.transaction, asked.why, this.now);
    return asked !== undefined;
  }

  #drainProxy(): boolean {
    const told = this.proxy.pollOutput();
    if (told?.kind === "carry" && this.isHolding) this.held.push(told.carriage);
    else if (told?.kind === "carry") this.proxy.handleCarried(told.carriage, undefined, this.now);
    else if (told?.kind === "branch-over") this.#over(told.branch);
    else if (told?.kind === "stream-refused") this.log.push(`refused ${nameOf(told.branch)}`);
    else if (told?.kind === "fork-over") this.log.push("over all");
    return told !== undefined;
  }

  #over(branch: Branch): void {
    const { failure } = branch;
    this.log.push(`over ${nameOf(branch)}`);
    if (failure !== undefined)
      this.failures.push([nameOf(branch), failure.why, failure.retryAfter].join(" ").trimEnd());
  }

  #next(): Instant | undefined {
    const times = [this.transactions.pollTimeout(), this.proxy.pollTimeout()].filter((one) => one !== undefined);
    return times.length === 0 ? undefined : (Math.min(...times) as Instant);
  }

  #note({ remote }: SipFlow, text: string): void {
    const name = String.fromCharCode(remote.w3 & 255);
    const message = partsOf(text);
    if (message.kind === "response") {
      this.answers.push(message);
      this.log.push(`caller ${message.status}`);
    } else {
      this.got.push({ place: name, message });
      this.log.push(`${name} ${message.method}`);
    }
  }
}

function nameOf({ hop }: Branch): string {
  return hop.uri.slice(4, 5);
}
