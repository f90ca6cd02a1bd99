/** One exchange of two texts over a way for datagrams, sealed. */
import { type Address, blankAddress } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { type ExchangeOutput, TextExchange } from "../../core/rendezvous/text-exchange.ts";
import { Driver } from "../driver.ts";
import { PooledRandom } from "../random.ts";
import type { Seal } from "./seal.ts";

export type SendSealed = (to: Readonly<Address>, data: Uint8Array) => unknown;

export class SealedExchange {
  /** The other end's text. Rejects with `PosternError` `peer-taken`; is not settled as long as nothing comes. */
  readonly text: Promise<string>;
  /** Resolves when the other end has ours, too. */
  readonly done: Promise<void>;
  readonly #seal: Seal;
  readonly #send: SendSealed;
  readonly #text: PromiseWithResolvers<string> = Promise.withResolvers();
  readonly #done: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #driver: Driver<TextExchange, ExchangeOutput>;

  /** Throws `PosternError` `text-too-long`. */
  constructor(text: string, seal: Seal, send: SendSealed) {
    this.#seal = seal;
    this.#send = send;
    this.text = this.#text.promise;
    this.done = this.#done.promise;
    this.text.catch(() => {});
    this.#driver = new Driver(new TextExchange(text, new PooledRandom()), {
      perform: (output) => this.#perform(output),
      handleFailure: (cause) => this.#text.reject(cause),
    });
  }

  /** Speaks first. Where the way leads to one end alone, no address is needed. */
  open(to: Readonly<Address> = blankAddress()): void {
    this.#driver.input((exchange, now) => exchange.open(to, now));
  }

  handleDatagram(data: Uint8Array, from: Readonly<Address> = blankAddress()): void {
    const frame = this.#seal.open(data);
    if (frame !== undefined) this.#driver.input((exchange, now) => exchange.handleFrame(frame, from, now));
  }

  stop(): void {
    this.#driver.stop();
  }

  #perform(output: ExchangeOutput): void {
    switch (output.kind) {
      case "send":
        this.#send(output.to, this.#seal.seal(output.frame));
        return;
      case "text":
        return this.#text.resolve(output.text);
      case "done":
        return this.#done.resolve();
      case "refused":
        return this.#text.reject(
          new PosternError("peer-taken", "Another machine has come with this code already: it is good for one."),
        );
    }
  }
}
