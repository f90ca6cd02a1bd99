/**
 * Phones that do anything at any time, over a network that loses and doubles, against the whole SIP edge: one run from one
 * seed. They keep to RFC 3261 as user agents do, but for what their owners and their makers may make them do: ring for ever,
 * answer while they are told to stop, ignore that, say nothing, hang up at once.
 */
import assert from "node:assert/strict";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipRequest, SipResponse } from "../../../src/core/sip/message/message.ts";
import { SipRequest as Request } from "../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../src/core/sip/message/parse.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { cancelOf } from "./ringing.ts";
import { Phone, type PhoneOptions, World } from "./world.ts";

/** RFC 3261 §13.3.1.4, §17.2.1: until then a final response is repeated. */
const REPEATED_FOR = 32_000;
const REFUSALS = [302, 401, 404, 407, 408, 480, 486, 488, 500, 503, 600, 603];

/** What is to happen, and when. */
class Script {
  readonly world: World = new World();
  readonly random: SeededRandom;
  /** One message of so many is lost, on UDP. */
  readonly loss: number;
  readonly #queue: { readonly at: number; readonly run: () => void }[] = [];
  /** Checked whenever something has happened. */
  check: () => void = () => {};

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.loss = this.random.pick([0, 0, 20, 4]);
  }

  after(ms: number, run: () => void): void {
    this.#queue.push({ at: this.world.now + ms, run });
  }

  /** Once in so many times. */
  oneIn(n: number): boolean {
    return n > 0 && this.random.oneIn(n);
  }

  play(): void {
    while (this.#queue.length > 0) {
      this.#queue.sort((a, b) => b.at - a.at);
      const next = this.#queue.pop();
      if (next === undefined) return;
      this.world.pass(Math.max(0, next.at - this.world.now));
      next.run();
      this.check();
    }
  }
}

/** A phone whose messages may be lost and doubled. */
abstract class Person extends Phone {
  readonly script: Script;
  isOnline = false;

  constructor(script: Script, user: string, options: PhoneOptions) {
    super(script.world, user, options);
    this.script = script;
  }

  /** Registers, or goes away. */
  sign(headers: readonly (readonly [string, string])[] = [], q = ""): void {
    this.isOnline = false;
    const request = this.registration(headers);
    if (q !== "") request.headers.set("Contact", `<${this.contact}>;q=${q}`);
    assert.equal(this.ask(request).status, 200);
    this.isOnline = true;
  }

  override receive(text: string): void {
    const message = parseMessage(text);
    assert.ok(message.kind !== "failure", text);
    const isOther = message.kind === "request" ? message.method === "OPTIONS" : message.cseq.method === "REGISTER";
    if (!this.isOnline || isOther) return super.receive(text);
    this.note(message);
    if (this.isLost()) return;
    this.script.after(this.script.random.below(60), () => this.handle(message));
  }

  /** What is on its way to it. */
  note(_message: SipRequest | SipResponse): void {}

  abstract handle(message: SipRequest | SipResponse): void;

  say(message: SipRequest | SipResponse): void {
    const times = this.script.oneIn(12) ? 2 : 1;
    for (let i = 0; i < times; i++) if (!this.isLost()) this.send(message);
  }

  /** Says it again and again, for as long as `isWanted`. */
  repeat(message: SipRequest | SipResponse, isWanted: () => boolean, ms = 500, passed = 0): void {
    if (!isWanted() || passed > REPEATED_FOR) return;
    this.say(message);
    this.script.after(ms, () => this.repeat(message, isWanted, Math.min(ms * 2, 4000), passed + ms));
  }

  isLost(): boolean {
    return this.flow.transport === "udp" && this.script.oneIn(this.script.loss);
  }

  /** A request within a dialog, until it is answered. */
  inquire(request: SipRequest): void {
    let isAnswered = false;
    this.#waiting.set(`${request.via.params.get("branch")}`, () => {
      isAnswered = true;
    });
    this.repeat(request, () => !isAnswered);
  }

  heard(response: SipResponse): void {
    this.#waiting.get(`${response.via.params.get("branch")}`)?.();
  }

  readonly #waiting: Map<string, () => void> = new Map();
}

class Caller extends Person {
  /** Final responses to its INVITE, as they were sent to it, whether or not they came. */
  readonly finals: SipResponse[] = [];
  firstAnswerAt: number | undefined;
  #invite: SipRequest | undefined;
  #isDone = false;
  readonly #dialogs: Set<string> = new Set();

  call(): void {
    const { random } = this.script;
    this.isOnline = false;
    this.ask(this.invitation("bob", "forked", random.oneIn(4) ? "" : undefined));
    this.isOnline = true;
    const invite = this.lastInvite();
    this.#invite = invite;
    this.script.after(500, () => this.repeat(invite, () => false));
    if (random.oneIn(3)) this.script.after(random.below(40_000), () => this.#cancel());
  }

  #cancel(): void {
    if (this.#isDone || this.#invite === undefined) return;
    this.inquire(cancelOf(this.#invite));
  }

  override note(message: SipRequest | SipResponse): void {
    if (message.kind !== "response" || message.cseq.method !== "INVITE" || message.status < 200) return;
    if (message.status < 300) this.firstAnswerAt ??= this.world.now;
    this.finals.push(message);
  }

  handle(message: SipRequest | SipResponse): void {
    if (message.kind === "request") return this.#handleRequest(message);
    if (message.cseq.method !== "INVITE") this.heard(message);
    else if (message.status >= 300) this.#acknowledgeRefusal(message);
    else if (message.status >= 200) this.#connect(message);
    else if (message.toTag !== undefined && this.script.oneIn(6)) {
      this.inquire(this.within(message, "UPDATE", { body: this.sdp() }));
    }
  }

  #handleRequest(request: SipRequest): void {
    if (request.method !== "ACK") this.say(createResponse(request, 200));
  }

  #acknowledgeRefusal(response: SipResponse): void {
    this.#isDone = true;
    const ack = this.#invite?.copy();
    assert.ok(ack);
    ack.headers.set("To", response.header("to") ?? "");
    ack.headers.set("CSeq", `${response.cseq.number} ACK`);
    this.say(new Request("ACK", ack.uriText, ack.headers, ""));
  }

  #connect(response: SipResponse): void {
    this.#isDone = true;
    const tag = response.toTag ?? "";
    const { random } = this.script;
    const body = (this.#invite as SipRequest).body === "" ? this.sdp() : "";
    this.say(this.within(response, "ACK", { body }));
    if (this.#dialogs.has(tag)) return;
    this.#dialogs.add(tag);
    // Who has several hangs up all but one, sooner or later; some never hang up at all.
    if (this.#dialogs.size === 1 && random.oneIn(4)) return;
    this.script.after(random.below(this.#dialogs.size === 1 ? 20_000 : 2_000), () => {
      this.inquire(this.within(response, "BYE"));
    });
  }
}

class Callee extends Person {
  /** Its last response to the INVITE; whether it was told to stop. */
  status = 0;
  isTold = false;
  hasAnswered = false;
  #invite: SipRequest | undefined;
  #isAcknowledged = false;
  #isOver = false;

  override note(message: SipRequest | SipResponse): void {
    if (message.kind === "request" && message.method === "CANCEL") this.isTold = true;
  }

  handle(message: SipRequest | SipResponse): void {
    if (message.kind === "response") return this.heard(message);
    switch (message.method) {
      case "INVITE":
        if (this.#invite === undefined) this.#ring(message);
        break;
      case "CANCEL":
        this.say(createResponse(message, 200, { toTag: "c" }));
        this.#stop();
        break;
      case "ACK":
        this.#isAcknowledged = true;
        break;
      case "BYE":
        this.#isOver = true;
        this.say(createResponse(message, 200));
        break;
      default:
        this.say(this.#withBody(createResponse(message, 200)));
    }
  }

  #ring(invite: SipRequest): void {
    this.#invite = invite;
    const { random } = this.script;
    if (random.oneIn(8)) return;
    if (random.oneIn(2)) this.script.after(random.below(50), () => this.#answer(100));
    for (let i = random.below(3); i > 0; i--) {
      this.script.after(random.below(5_000), () => this.#answer(random.pick([180, 183])));
    }
    if (random.oneIn(6)) return;
    const status = random.oneIn(2) ? 200 : random.pick(REFUSALS);
    this.script.after(random.below(random.pick([100, 3_000, 40_000])), () => this.#answer(status));
  }

  /** Some do not stop, and some have just been answered. */
  #stop(): void {
    if (this.status >= 200 || this.script.oneIn(8)) return;
    this.script.after(this.script.random.below(1_500), () => this.#answer(this.script.oneIn(5) ? 200 : 487));
  }

  #answer(status: number): void {
    if (this.#invite === undefined || this.status >= 200) return;
    this.status = status;
    const routes = this.#invite.headers.values("record-route").map((value) => ["Record-Route", value] as const);
    const headers = [...routes, ["Contact", `<${this.contact}>`] as const];
    const toTag = `to-${this.user}-${this.inside}`;
    const response = createResponse(this.#invite, status, status === 100 ? {} : { toTag, headers });
    if (status === 183 || status === 200) this.#withBody(response);
    if (status < 200) return this.say(response);
    this.hasAnswered = status === 200;
    this.repeat(response, () => !this.#isAcknowledged && !this.#isOver);
    if (status !== 200) return;
    const { random } = this.script;
    const invite = this.#invite;
    if (random.oneIn(3)) this.script.after(2_000 + random.below(20_000), () => this.#hangUp(invite));
    this.script.after(REPEATED_FOR, () => {
      if (!this.#isAcknowledged) this.#hangUp(invite);
    });
  }

  #hangUp(invite: SipRequest): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.inquire(this.within(invite, "BYE"));
  }

  #withBody(response: SipResponse): SipResponse {
    response.setBody(this.sdp(), "application/sdp");
    return response;
  }
}

/** One run, and what must be true of every one. */
export function playFork(seed: number): void {
  const script = new Script(seed);
  const { world, random } = script;
  const transport = () => random.pick(["udp", "udp", "tcp", "tls"] as const);
  const alice = new Caller(script, "alice", { outside: "198.51.100.7", transport: transport() });
  const bobs = [5, 6, 7].map((n) => {
    return new Callee(script, "bob", { outside: `192.0.2.${n}`, inside: `192.168.${n}.5`, transport: transport() });
  });
  alice.sign();
  for (const bob of bobs) bob.sign([], random.pick(["", "", "0.5"]));
  script.check = () => {
    // Two each for the caller and three phones.
    assert.ok(world.ports.size <= 8, `${world.ports.size} ports`);
    const { firstAnswerAt } = alice;
    if (firstAnswerAt === undefined || world.now < firstAnswerAt + 1_001) return;
    const answered = bobs.filter(({ hasAnswered }) => hasAnswered).length;
    assert.ok(world.ports.size <= 2 + 2 * answered, `${world.ports.size} ports a second after the answer`);
  };
  alice.call();
  script.play();
  world.pass(240_000);
  checkFinals(alice.finals);
  for (const bob of bobs) {
    const isRinging = bob.status > 100 && bob.status < 200;
    assert.ok(!isRinging || bob.isTold, `${bob.inside} rings, and nobody has told it to stop`);
  }
  for (const phone of [alice, ...bobs]) phone.sign([["Expires", "0"]]);
  // A call without media is forgotten after ten minutes.
  world.pass(700_000);
  assert.equal(world.ports.size, 0);
  assert.deepEqual(world.edge.calls(), []);
  assert.equal(world.edge.pollTimeout(), undefined, "nothing waits for anything");
  assert.deepEqual(world.astray, []);
}

/** One refusal, however often it is repeated; or answers, which may be several, of several phones. */
function checkFinals(finals: readonly SipResponse[]): void {
  const refusals = new Set(
    finals.filter(({ status }) => status >= 300).map(({ status, toTag }) => `${status} ${toTag}`),
  );
  const answers = new Set(finals.filter(({ status }) => status < 300).map(({ toTag }) => toTag));
  assert.ok(refusals.size === 0 ? answers.size > 0 : refusals.size === 1 && answers.size === 0, [...refusals].join());
}
