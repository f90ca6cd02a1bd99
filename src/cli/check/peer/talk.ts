/** What two machines say over the path that they have: that they are there, speech, and in the end what each has heard. */
import { hash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { IceConnection } from "../../../node/ice/ice-connection.ts";
import { Seal } from "../../../node/rendezvous/seal.ts";
import { SealedExchange } from "../../../node/rendezvous/sealed-exchange.ts";
import { Speech } from "./speech.ts";
import { formatSummary, parseSummary, type Summary } from "./summary.ts";

export interface TalkOptions {
  /** The descriptions that both ends know, and nobody else unless users have shown them. */
  readonly own: string;
  readonly peer: string;
  readonly signal: AbortSignal;
}

/** The other end's summary comes within this, or not at all: it may look for its NAT for ten seconds. */
const summaryMs = 20_000;
/** What the other end has not confirmed by then it has hardly missed. */
const doneMs = 1_000;

export class Talk implements Disposable {
  readonly speech: Speech;
  readonly #options: TalkOptions;
  readonly #send: (data: Uint8Array) => unknown;
  readonly #greeting: SealedExchange;
  #summary: SealedExchange | undefined;

  constructor(connection: IceConnection, options: TalkOptions) {
    this.#options = options;
    this.#send = (data) => connection.send(data);
    this.speech = new Speech({ ...options, send: this.#send });
    this.#greeting = this.#exchangeOf("greeting", "");
    connection.onData = (data) => {
      if (this.speech.handleData(data)) return;
      this.#greeting.handleDatagram(data);
      this.#summary?.handleDatagram(data);
    };
  }

  /** Resolves when the other machine hears us. Agents connect before the program behind one of them is there. */
  async greet(): Promise<void> {
    this.#greeting.open();
    await this.#greeting.text;
  }

  /** Resolves with the other end's summary; undefined: it has not come. Rejects with the signal's reason. */
  async summarize(own: Summary): Promise<Summary | undefined> {
    const { signal } = this.#options;
    const exchange = this.#exchangeOf("summary", formatSummary(own));
    this.#summary = exchange;
    exchange.open();
    const text = await Promise.race([exchange.text, pause(summaryMs, undefined, { signal, ref: false })]);
    await Promise.race([exchange.done, pause(doneMs, undefined, { signal, ref: false })]);
    return text === undefined ? undefined : parseSummary(text);
  }

  /** Each exchange has a secret of its own, so that what is late for one is nothing to the next. */
  #exchangeOf(what: "greeting" | "summary", text: string): SealedExchange {
    const { own, peer } = this.#options;
    const secret = hash("sha256", [what, ...[own, peer].sort()].join("\n"), "buffer");
    return new SealedExchange(text, new Seal(secret, own < peer ? "first" : "second"), (_, data) => this.#send(data));
  }

  [Symbol.dispose](): void {
    this.#greeting.stop();
    this.#summary?.stop();
  }
}
