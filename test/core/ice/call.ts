/**
 * Two endpoints and their signaling, which takes its time. `trickle`: candidates are told as they are found; else each
 * side waits until it has gathered.
 */
import { after, type Instant } from "../../../src/core/base/machine.ts";
import type { Candidate } from "../../../src/core/ice/candidate.ts";
import type { IceEvent } from "../../../src/core/ice/outputs.ts";
import type { Endpoint } from "./endpoint.ts";

export interface CallOptions {
  readonly trickle?: boolean;
  /** Milliseconds that a message between the two takes. */
  readonly signaling?: number;
}

export class Call {
  readonly a: Endpoint;
  readonly b: Endpoint;
  readonly #trickle: boolean;
  readonly #delay: number;
  /** From when on both have both descriptions. */
  began: Instant | undefined;
  readonly #has: Set<Endpoint> = new Set();

  constructor(a: Endpoint, b: Endpoint, { trickle = false, signaling = 25 }: CallOptions = {}) {
    this.a = a;
    this.b = b;
    this.#trickle = trickle;
    this.#delay = signaling;
    for (const one of [a, b]) one.onEvent = (event) => this.#hear(one, event);
  }

  /** A offers; B answers when the offer has come. */
  start(): this {
    this.a.gather();
    return this;
  }

  other(one: Endpoint): Endpoint {
    return one === this.a ? this.b : this.a;
  }

  /** Restarts on A's side; B follows. */
  restart(): void {
    this.#has.clear();
    this.began = undefined;
    this.a.input((agent, now) => agent.restart(now));
  }

  #hear(one: Endpoint, event: IceEvent): void {
    if (event.type === "credentials" && this.#trickle) this.#describe(one);
    else if (event.type === "candidate" && this.#trickle)
      this.#later(() => this.#tell(one, event.stream, event.candidate));
    else if (event.type === "gathered") {
      if (!this.#trickle) this.#describe(one);
      this.#later(() => {
        for (const stream of one.streams.keys()) {
          this.other(one).input((agent, now) => agent.handleEndOfCandidates(stream, now));
        }
      });
    }
  }

  /** One side's description reaches the other, which then begins, if it has not. */
  #describe(one: Endpoint): void {
    const { credentials } = one.agent;
    if (credentials === undefined) return;
    const candidates = this.#trickle ? [] : one.all("candidate");
    this.#later(() => {
      const other = this.other(one);
      if (other.agent.credentials === undefined) other.gather();
      for (const stream of one.streams.keys()) {
        const own = candidates.flatMap((told) => (told.stream === stream ? [told.candidate] : []));
        const description = { ...credentials, candidates: own, hardNats: one.config.hardNats === true };
        other.input((agent, now) => agent.handleRemoteDescription(stream, description, now));
      }
      this.#has.add(other);
      if (this.#has.size === 2) this.began ??= other.world.now;
    });
  }

  #tell(one: Endpoint, stream: number, candidate: Candidate): void {
    this.other(one).input((agent, now) => agent.handleRemoteCandidate(stream, candidate, now));
  }

  #later(action: () => void): void {
    const { world } = this.a;
    world.at(after(world.now, this.#delay), action);
  }

  /** Both talk, from now on. */
  talk(): this {
    this.a.talk();
    this.b.talk();
    return this;
  }
}
