/**
 * A network in memory, on a virtual clock. Nothing in it waits, and nothing is random but by its seed: the same seed
 * and the same calls give the same run, packet by packet.
 *
 *   const world = new World({ seed: 1 });
 *   const internet = world.link("internet", { delay: 20 });
 *   const alice = world.host("alice").attach(internet, "198.51.100.1").socket();
 *   alice.send(data, address);
 *   world.advance(1000);
 */
import { after, type Instant } from "../core/base/machine.ts";
import { Agenda, type Appointment } from "./agenda.ts";
import { Alarm } from "./alarm.ts";
import { Capture } from "./capture.ts";
import { Gateway, type GatewayOptions } from "./gateway.ts";
import { Host } from "./host.ts";
import { Link, type LinkConditions } from "./link.ts";
import { Router } from "./router.ts";
import { SeededRandom } from "./seeded-random.ts";
import { type Sighting, Sightings } from "./sightings.ts";
import type { Surroundings } from "./surroundings.ts";

export class World {
  readonly #surroundings: Surroundings;

  constructor({ seed = 1 }: { readonly seed?: number } = {}) {
    const agenda = new Agenda();
    this.#surroundings = { agenda, random: new SeededRandom(seed), sightings: new Sightings(agenda) };
  }

  link(name: string, conditions?: Partial<LinkConditions>): Link {
    return new Link(name, this.#surroundings, conditions);
  }

  host(name: string): Host {
    return new Host(name, this.#surroundings);
  }

  router(name: string): Router {
    return new Router(name, this.#surroundings);
  }

  gateway(name: string, options: GatewayOptions = {}): Gateway {
    return new Gateway(name, options, this.#surroundings);
  }

  get now(): Instant {
    return this.#surroundings.agenda.now;
  }

  /** Randomness for a program under test, apart from the network's own. */
  random(): SeededRandom {
    return this.#surroundings.random.fork();
  }

  /** `action` happens at `instant`, or next when that has passed. */
  at(instant: Instant, action: () => void): Appointment {
    return this.#surroundings.agenda.at(instant, action);
  }

  /** An alarm that follows a machine's deadline. */
  alarm(onDue: () => void): Alarm {
    return new Alarm(this.#surroundings.agenda, onDue);
  }

  /** Lets `ms` milliseconds pass. */
  advance(ms: number): void {
    this.#surroundings.agenda.runUntil(after(this.now, ms));
  }

  /** Lets time pass until nothing is left to happen, but no longer than `within` milliseconds. */
  settle(within = 60_000): void {
    const { agenda } = this.#surroundings;
    const end = after(agenda.now, within);
    for (let next = agenda.next; next !== undefined && next <= end; next = agenda.next) agenda.step();
  }

  /** Calls `watcher` with what happens to every packet from now on; the function that it returns ends that. */
  watch(watcher: (sighting: Sighting) => void): () => void {
    return this.#surroundings.sightings.watch(watcher);
  }

  /** Captures what `links`, or all links, carry from now on. */
  capture(...links: readonly Link[]): Capture {
    return new Capture(
      (watcher) => this.watch(watcher),
      links.map(({ name }) => name),
    );
  }

  /** How many packets were carried by links, delivered to sockets, and dropped for which reason. */
  get counts(): Pick<Sightings, "carriedCount" | "deliveredCount"> & { readonly dropped: Sightings["dropped"] } {
    return this.#surroundings.sightings;
  }
}
