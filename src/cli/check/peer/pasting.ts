/** What the user pastes: the other machine's line, and that both machines have theirs. */
import { PosternError } from "../../../core/base/failure.ts";
import { type ReadLine, readLine } from "./line.ts";

const troubles: Readonly<Record<"none" | "mistyped" | "own", string>> = {
  none: "That is no line of postern check: it begins with postern1. Paste the other machine's.",
  mistyped: "That line is not as it was printed: something is missing or changed. Paste it again, whole.",
  own: "That is this machine's own line: paste the other machine's.",
};

/** Longer than any line with all that may be pasted around it. */
const mostCharacters = 64_000;

export class Pasting implements Disposable {
  readonly #input: NodeJS.ReadStream;
  readonly #say: (text: string) => void;
  #text = "";
  #hasEnded = false;
  #wake: () => void = () => {};

  /** `say` tells the user what is wrong with what was pasted. */
  constructor(input: NodeJS.ReadStream, say: (text: string) => void) {
    this.#input = input;
    this.#say = say;
    input.setEncoding("utf8").on("data", this.#take).on("end", this.#end).on("error", this.#end).resume();
  }

  /** The other machine's description. Rejects with `PosternError` `no-line`, or with the signal's reason. */
  async description(own: string, signal: AbortSignal): Promise<string> {
    for (;;) {
      const found = this.#found(own);
      if (typeof found === "string") return found;
      if (found.kind !== "part") this.#refuse(found.kind);
      await this.#more(signal);
    }
  }

  /** Until Enter is pressed. Where no user is at a terminal nobody is waited for. */
  async enter(signal: AbortSignal): Promise<void> {
    this.#text = "";
    while (this.#input.isTTY && !this.#text.includes("\n") && !this.#hasEnded) await this.#more(signal);
  }

  #found(own: string): string | { readonly kind: "part" | "none" | "mistyped" | "own" } {
    // As long as no line break has come, somebody is typing.
    const isTyping = !this.#hasEnded && !this.#text.includes("\n");
    const read: ReadLine = this.#text.trim() === "" || isTyping ? { kind: "part" } : readLine(this.#text);
    if (read.kind !== "whole") return read;
    return read.text === own ? { kind: "own" } : read.text;
  }

  #refuse(why: keyof typeof troubles): void {
    this.#text = "";
    this.#say(troubles[why]);
  }

  async #more(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#hasEnded) {
      throw new PosternError("no-line", "Standard input has ended before the other machine's line was whole.");
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => reject(signal.reason);
    this.#wake = resolve;
    signal.addEventListener("abort", abort);
    await promise.finally(() => signal.removeEventListener("abort", abort));
  }

  readonly #take = (text: string): void => {
    this.#text = (this.#text + text).slice(-mostCharacters);
    this.#wake();
  };

  readonly #end = (): void => {
    this.#hasEnded = true;
    this.#wake();
  };

  /** Nothing more is read, and the process may end. */
  [Symbol.dispose](): void {
    this.#input.off("data", this.#take).off("end", this.#end).off("error", this.#end).pause();
    this.#input.unref?.();
  }
}
