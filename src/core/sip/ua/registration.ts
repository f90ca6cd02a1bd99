/**
 * One registration (RFC 3261 §10.2): sent, answered when it is challenged, refreshed before it ends, tried again when it
 * fails, and taken back. It stands on `Transactions` beside the user agent, and owns none of its calls.
 */
import { after, type Instant, type Machine } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import { randomBelow } from "../../base/random.ts";
import { hexOf } from "../digest/algorithm.ts";
import type { SipFlow, SipTarget } from "../flow.ts";
import { createRequest, type HeaderLine } from "../message/build.ts";
import { MALFORMED } from "../message/characters.ts";
import { parseSeconds, type SipResponse } from "../message/message.ts";
import { parseUri } from "../message/uri.ts";
import { isSameUri } from "../message/uri-comparison.ts";
import type { ClientTransaction } from "../transaction/client.ts";
import type { Transactions } from "../transaction/transactions.ts";
import { Attempt, answeringChallenge, send } from "./attempt.ts";
import type { LocalParty } from "./call.ts";
import type { UaPorts } from "./context.ts";

/** Of its lifetime a registration is left this much when it is refreshed. */
const LEFT_AT_REFRESH = 0.2;
/** RFC 5626 §4.5: between attempts that failed, in seconds: the first, and the longest. */
const FIRST_RETRY = 30;
const LONGEST_RETRY = 1_800;

export interface RegistrationConfig {
  readonly local: LocalParty;
  /** The domain's URI: `sip:example.org`. */
  readonly registrar: string;
  readonly hop: SipFlow | SipTarget;
  /** In seconds. */
  readonly expires: number;
}

export type RegistrationOutput =
  /** `expires`: in seconds. Told once, and again after it was lost. */
  | { readonly kind: "registered"; readonly expires: number }
  /** Calls do not come in; it is tried again in `retryIn` ms. `status`: 0 where nothing was answered. */
  | { readonly kind: "failed"; readonly status: number; readonly reason: string; readonly retryIn: number }
  /** As it was asked for. */
  | { readonly kind: "unregistered" };

class RegisterAttempt extends Attempt {
  readonly registration: Registration;

  constructor(registration: Registration) {
    super();
    this.registration = registration;
  }
}

export class Registration implements Machine<RegistrationOutput> {
  readonly #transactions: Transactions;
  readonly #ports: UaPorts;
  readonly #config: RegistrationConfig;
  readonly #outputs: OutputQueue<RegistrationOutput> = new OutputQueue();
  readonly #callId: string;
  readonly #tag: string;
  /** When it is refreshed, or tried again. */
  #dueAt: Instant | undefined;
  #cseq = 0;
  /** What is asked for: the registrar may want more. */
  #expires: number;
  #failures = 0;
  #attempt: RegisterAttempt | undefined;
  #isRegistered = false;
  #isStopped = true;

  constructor(transactions: Transactions, ports: UaPorts, config: RegistrationConfig) {
    this.#transactions = transactions;
    this.#ports = ports;
    this.#config = config;
    this.#expires = config.expires;
    this.#callId = hexOf(ports.random.bytes(16));
    this.#tag = hexOf(ports.random.bytes(8));
  }

  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  pollOutput(): RegistrationOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#dueAt;
  }

  handleTimeout(now: Instant): void {
    if (this.#dueAt !== undefined && now >= this.#dueAt) this.#send(now);
  }

  /** Registers, or does so at once again: after the network has changed, say. */
  start(now: Instant): void {
    this.#isStopped = false;
    this.#send(now);
  }

  /** Takes it back. */
  stop(now: Instant): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#send(now);
  }

  /** False where the transaction is another's. */
  handleResponse({ owner }: Pick<ClientTransaction, "owner">, response: SipResponse, now: Instant): boolean {
    if (!(owner instanceof RegisterAttempt) || owner.registration !== this) return false;
    if (owner === this.#attempt && response.status >= 200) this.#handleFinal(owner, response, now);
    return true;
  }

  /** No response came, or the request could not be sent; false where the transaction is another's. */
  handleFailed({ owner }: ClientTransaction, now: Instant): boolean {
    if (!(owner instanceof RegisterAttempt) || owner.registration !== this) return false;
    if (owner === this.#attempt) this.#fail(0, "No Answer", now);
    return true;
  }

  #send(now: Instant): void {
    const { local, registrar, hop } = this.#config;
    this.#dueAt = undefined;
    // RFC 3261 §10.2.4: one Call-ID for all, and a number that grows.
    this.#cseq++;
    const headers: HeaderLine[] = [
      ["Max-Forwards", "70"],
      ["From", `${local.address};tag=${this.#tag}`],
      ["To", local.address],
      ["Call-ID", this.#callId],
      ["CSeq", `${this.#cseq} REGISTER`],
      ["Contact", `<${local.contact}>`],
      ["Expires", this.#isStopped ? "0" : String(this.#expires)],
    ];
    const request = createRequest({ method: "REGISTER", uri: registrar, headers });
    // RFC 3261 §10.2: no other one before this has its answer; an older one's is not listened to any more.
    this.#attempt = new RegisterAttempt(this);
    send(this.#transactions, this.#attempt, request, { to: hop, sentBy: local.sentBy }, now);
  }

  #handleFinal(attempt: RegisterAttempt, response: SipResponse, now: Instant): void {
    const { local, hop } = this.#config;
    const { status, reason } = response;
    if (status < 300) return this.#handleSuccess(response, now);
    const again = answeringChallenge(this.#ports, attempt, response, local, this.#cseq + 1);
    if (again !== undefined) {
      this.#cseq++;
      send(this.#transactions, attempt, again, { to: hop, sentBy: local.sentBy }, now);
      return;
    }
    const least = status === 423 ? parseSeconds(response.header("min-expires") ?? "") : MALFORMED;
    // RFC 3261 §10.2.8: the registrar wants fewer requests.
    if (least !== MALFORMED && least > this.#expires && !this.#isStopped) {
      this.#expires = least;
      this.#send(now);
    } else this.#fail(status, reason, now);
  }

  #handleSuccess(response: SipResponse, now: Instant): void {
    this.#attempt = undefined;
    this.#failures = 0;
    const wasRegistered = this.#isRegistered;
    this.#isRegistered = !this.#isStopped;
    if (this.#isStopped) {
      this.#outputs.push({ kind: "unregistered" });
      return;
    }
    const expires = this.#expiresIn(response);
    this.#wait(now, expires * 1000 * (1 - LEFT_AT_REFRESH));
    if (!wasRegistered) this.#outputs.push({ kind: "registered", expires });
  }

  /** RFC 3261 §10.2.4, §10.3: the registrar decides, Contact by Contact; ours is one of them. */
  #expiresIn(response: SipResponse): number {
    const { contacts, expires } = response;
    const own = parseUri(this.#config.local.contact);
    const list = contacts === MALFORMED || contacts === "*" || own === MALFORMED ? [] : contacts;
    const contact = list.find(({ uri }) => own !== MALFORMED && isSameUri(uri, own)) ?? list[0];
    const said = parseSeconds(contact?.params.get("expires") ?? "");
    if (said !== MALFORMED && said > 0) return said;
    return typeof expires === "number" && expires > 0 ? expires : this.#expires;
  }

  #fail(status: number, reason: string, now: Instant): void {
    this.#attempt = undefined;
    this.#isRegistered = false;
    if (this.#isStopped) {
      this.#outputs.push({ kind: "unregistered" });
      return;
    }
    // RFC 5626 §4.5: twice as long each time, and between half and all of that, so that not all come back at once.
    const longest = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    const retryIn = (longest + randomBelow(this.#ports.random, longest)) * 500;
    this.#wait(now, retryIn);
    this.#outputs.push({ kind: "failed", status, reason, retryIn });
  }

  #wait(now: Instant, ms: number): void {
    this.#dueAt = after(now, ms);
  }
}
