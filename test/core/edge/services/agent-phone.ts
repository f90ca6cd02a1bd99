/** A phone that is a user agent of ours: it registers and calls by itself, behind a NAT as the others of this world are. */
import { after, type Instant } from "../../../../src/core/base/machine.ts";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import type { TransactionOutput } from "../../../../src/core/sip/transaction/outputs.ts";
import { Transactions } from "../../../../src/core/sip/transaction/transactions.ts";
import type { LocalParty, UaCall } from "../../../../src/core/sip/ua/call.ts";
import type { UserAgentOutput } from "../../../../src/core/sip/ua/outputs.ts";
import { Registration, type RegistrationOutput } from "../../../../src/core/sip/ua/registration.ts";
import { UserAgent } from "../../../../src/core/sip/ua/user-agent.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";
import { DOMAIN, Phone, type PhoneOptions, passwordOf, type World } from "../world.ts";

export class AgentPhone extends Phone {
  readonly transactions: Transactions;
  readonly ua: UserAgent;
  readonly registrar: Registration;
  readonly local: LocalParty;
  readonly told: (UserAgentOutput | RegistrationOutput)[] = [];
  /** Messages that it got, as first lines. */
  readonly got: string[] = [];
  /** Whether it hears anything. */
  isDeaf = false;

  constructor(
    world: World,
    user: string,
    options: PhoneOptions & { readonly expires?: number; readonly password?: string },
  ) {
    super(world, user, options);
    const ports = { crypto: testCrypto, random: new SeededRandom(9) };
    const password = options.password ?? passwordOf(user);
    this.transactions = new Transactions(ports);
    this.ua = new UserAgent(this.transactions, ports);
    this.local = {
      address: `<sip:${user}@${DOMAIN}>`,
      contact: this.contact,
      sentBy: `${this.inside}:5060`,
      account: { realm: DOMAIN, username: user, password },
    };
    const { local, flow: hop } = this;
    this.registrar = new Registration(this.transactions, ports, {
      ...{ local, hop, registrar: `sip:${DOMAIN}` },
      expires: options.expires ?? 3600,
    });
  }

  call(to: string, description: string | undefined = this.sdp()): UaCall {
    const { local, flow: hop, world } = this;
    const call = this.ua.call({ local, hop, uri: `sip:${to}@${DOMAIN}`, description }, world.now);
    this.settle();
    return call;
  }

  /** Kinds of what it was told, ends with their reasons. */
  words(): string[] {
    const words = this.told.map((one) => {
      if (one.kind === "ended") return `ended ${one.why}${one.status === undefined ? "" : ` ${one.status}`}`;
      return one.kind === "failed" ? `failed ${one.status}` : one.kind;
    });
    this.told.length = 0;
    return words;
  }

  override receive(text: string): void {
    if (this.isDeaf) return;
    this.got.push(text.slice(0, text.indexOf("\r\n")));
    const message = parseMessage(text);
    if (message.kind === "response") this.transactions.handleResponse(message, this.world.now);
    else if (message.kind === "request") this.transactions.handleRequest(message, this.flow, this.world.now);
    this.settle();
  }

  settle(): void {
    for (;;) {
      const asked = this.transactions.pollOutput();
      if (asked !== undefined) this.#handle(asked);
      const told = this.ua.pollOutput() ?? this.registrar.pollOutput();
      if (told?.kind === "send") this.world.deliver(told.text, this.flow);
      else if (told !== undefined) this.told.push(told);
      if (asked === undefined && told === undefined) return;
    }
  }

  /** Lets time pass for it and for the edge. */
  pass(ms: number): void {
    const until = after(this.world.now, ms);
    const machines = [this.transactions, this.ua, this.registrar];
    for (;;) {
      const times = machines.map((one) => one.pollTimeout()).filter((one) => one !== undefined);
      const next = Math.min(until, ...times) as Instant;
      this.world.pass(Math.max(0, next - this.world.now));
      for (const machine of machines) machine.handleTimeout(this.world.now);
      this.settle();
      if (next === until) return;
    }
  }

  #handle(output: TransactionOutput): void {
    const { now } = this.world;
    if (output.kind === "send") this.world.deliver(output.text, this.flow);
    else if (output.kind === "request") {
      this.ua.handleRequest(output.transaction, { local: this.local, hop: this.flow }, now);
    } else if (output.kind === "ack") this.ua.handleAck(output.request, now);
    else if (output.kind === "response" && !this.ua.handleResponse(output.transaction, output.response, now)) {
      this.registrar.handleResponse(output.transaction, output.response, now);
    } else if (output.kind === "failed" && !this.ua.handleFailed(output.transaction, now)) {
      this.registrar.handleFailed(output.transaction, now);
    }
  }
}
