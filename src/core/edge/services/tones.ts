/** The tones that are being played, each to a clock of its own: 20 ms after the last packet comes the next. */
import { Deadlines } from "../../base/deadlines.ts";
import { after, type Instant } from "../../base/machine.ts";
import type { OutputQueue } from "../../base/output-queue.ts";
import type { Random } from "../../base/ports.ts";
import type { CallDescription } from "../../call/description.ts";
import { agree } from "../../call/offer-answer.ts";
import type { MediaRelay } from "../../relay/media-relay.ts";
import type { ServiceCall } from "./service-call.ts";
import { toneIn } from "./tone.ts";
import { type ServiceMedia, TONE_INTERVAL, ToneStream } from "./tone-stream.ts";

/** A tone that is later than this goes on from now instead of hurrying. */
const MAX_LATENESS = 60;

export class Tones<Output> {
  readonly #relay: MediaRelay;
  readonly #random: Random;
  readonly #outputs: OutputQueue<Output | ServiceMedia>;
  readonly #deadlines: Deadlines<ToneStream> = new Deadlines();

  constructor(relay: MediaRelay, random: Random, outputs: OutputQueue<Output | ServiceMedia>) {
    this.#relay = relay;
    this.#random = random;
    this.#outputs = outputs;
  }

  get next(): Instant | undefined {
    return this.#deadlines.next;
  }

  /** From now on as offer and answer say, of which ours is one. */
  play(
    call: ServiceCall,
    offer: CallDescription,
    answer: CallDescription,
    ours: "offer" | "answer",
    now: Instant,
  ): void {
    if (call.service !== "milliwatt") return;
    const streams = agree(offer, answer);
    if (typeof streams === "string") return this.stop(call);
    for (const [stream, agreed] of streams.entries()) {
      const codecs = ours === "offer" ? agreed.fromOfferer : agreed.fromAnswerer;
      for (const { name, payloadType } of codecs) {
        const frames = toneIn(name.toUpperCase());
        if (frames === undefined) continue;
        // A tone that goes on as it was keeps its numbers.
        if (call.tone?.isAs(stream, payloadType, frames) === true) return;
        this.stop(call);
        call.tone = new ToneStream({ leg: call.phone, stream, frames, payloadType }, this.#random);
        this.#deadlines.set(call.tone, after(now, TONE_INTERVAL));
        return;
      }
    }
    this.stop(call);
  }

  stop(call: ServiceCall): void {
    if (call.tone !== undefined) this.#deadlines.clear(call.tone);
    call.tone = undefined;
  }

  handleTimeout(now: Instant): void {
    for (let due = this.#deadlines.popDue(now); due !== undefined; due = this.#deadlines.popDue(now)) {
      const next = after(due.deadline, TONE_INTERVAL);
      this.#deadlines.set(due, next < now - MAX_LATENESS ? after(now, TONE_INTERVAL) : next);
      this.#send(due);
    }
  }

  #send(tone: ToneStream): void {
    // As long as nobody knows where the caller hears, there is nowhere to send to.
    const route = this.#relay.routeTo(tone.leg, tone.stream);
    if (route === undefined) return;
    const media = tone.next(route);
    route.packets++;
    route.bytes += media.length;
    this.#outputs.push(media);
  }
}
