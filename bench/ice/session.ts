/** One session between two ends of one kind: how long each step took; and its restarts, with the old path alive and dead. */
import { setTimeout as delay } from "node:timers/promises";
import type { Lab } from "../../src/lab/lab.ts";
import { relayedPackets } from "../../src/lab/passages.ts";
import { until } from "../../test/support/until.ts";
import type { Contender, End, Mark, Moment, Servers } from "./contender.ts";

/** Milliseconds; NaN where it did not come to that. Of both ends the later, but for gathering, which is the offerer's. */
export interface ConnectRun {
  readonly gathering: number;
  /** From the moment the second end has both descriptions. */
  readonly usable: number;
  readonly nominated: number;
  /** Packets through the relay while both sent for half a second. */
  readonly relayed: number;
}

export interface RestartRun {
  /** Packets of both ends that were lost around a restart whose old path lived. */
  readonly lost: number;
  readonly sent: number;
  /** The old path died: milliseconds from the call until both ends have nominated another. */
  readonly moved: number;
  /** And until both hear what was sent after that death. */
  readonly resumed: number;
}

const patienceMs = 15_000;
const talkMs = 500;

export class Session implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #ends: readonly [alice: End, bob: End];

  static async open(lab: Lab, contender: Contender, servers: Servers): Promise<Session> {
    return new Session(lab, [await contender.open("alice", servers), await contender.open("bob", servers)]);
  }

  private constructor(lab: Lab, ends: readonly [End, End]) {
    this.#lab = lab;
    this.#ends = ends;
  }

  async connect(): Promise<ConnectRun> {
    const [alice, bob] = this.#ends;
    await alice.accept(await bob.answer(await alice.offer()));
    await until("both descriptions", async () => !Number.isNaN(timeOf(await alice.moments(), "met")));
    const own = await alice.moments();
    const began = timeOf(own, "met");
    const usable = await this.#later("usable", began);
    const nominated = await this.#later("nominated", began);
    return {
      gathering: timeOf(own, "gathered") - timeOf(own, "gathering"),
      usable,
      nominated,
      relayed: await this.#relayedWhileTalking(),
    };
  }

  async restart(): Promise<RestartRun> {
    return { ...(await this.#restartWhileAlive()), ...(await this.#restartWhenDead()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#each((end) => end.close());
  }

  #each<T>(ask: (end: End) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#ends.map(ask));
  }

  async #renew(): Promise<void> {
    const [alice, bob] = this.#ends;
    await alice.accept(await bob.follow(await alice.restart()));
  }

  async #restartWhileAlive(): Promise<Pick<RestartRun, "sent" | "lost">> {
    const before = await this.#each((end) => end.hush());
    await this.#each((end) => end.talk());
    await delay(talkMs + this.#lab.roundTrip);
    await this.#renew();
    await delay(4 * talkMs + 2 * this.#lab.roundTrip);
    const after = await this.#each((end) => end.hush());
    await delay(talkMs + this.#lab.roundTrip);
    const [alices, bobs] = await this.#each((end) => end.heard());
    const [sent, heard] = [after.map((count, n) => count - (before[n] as number)), [bobs, alices]];
    const arrived = heard.map((packets, n) => {
      return new Set(packets?.map(({ number }) => number).filter((number) => number > (before[n] as number))).size;
    });
    return { sent: sum(sent), lost: sum(sent) - sum(arrived) };
  }

  /** A firewall shuts the direct path for good: the relay is what is left. */
  async #restartWhenDead(): Promise<Pick<RestartRun, "moved" | "resumed">> {
    const [alice] = this.#ends;
    await this.#each((end) => end.talk());
    await delay(talkMs);
    const router = this.#lab.network.at("home router");
    const bobs = this.#lab.network.plan.gateways.find(({ site }) => site === "office")?.outside;
    await router.nft(
      `table inet shut { chain forward { type filter hook forward priority 0; ip daddr ${bobs} drop; ip saddr ${bobs} drop; }; }`,
    );
    const died = performance.timeOrigin + performance.now();
    try {
      await delay(talkMs);
      await this.#renew();
      const heard = await until(
        "data on the new path",
        async () => {
          const first = await this.#each(async (end) => (await end.heard()).find(({ sentAt }) => sentAt > died));
          return first.every((one) => one !== undefined) && first.map((one) => one.heardAt);
        },
        { within: patienceMs },
      ).catch(() => [Number.NaN]);
      const began = timeOf((await alice.moments()).toReversed(), "restart");
      return { moved: await this.#later("nominated", began, began), resumed: Math.max(...heard) - began };
    } finally {
      await this.#each((end) => end.hush());
      await router.nft("delete table inet shut");
    }
  }

  /** When both ends have come to `mark` since the offerer `began`, counted from there. */
  async #later(mark: Mark, began: number, since = Number.NEGATIVE_INFINITY): Promise<number> {
    const all = () =>
      this.#each(async (end) =>
        timeOf(
          (await end.moments()).filter(({ at }) => at >= since),
          mark,
        ),
      );
    const there = async () => {
      const times = await all();
      return times.every((one) => !Number.isNaN(one)) && times;
    };
    const times = await until(`${mark} at both`, there, { within: patienceMs }).catch(all);
    return Math.max(...times) - began;
  }

  async #relayedWhileTalking(): Promise<number> {
    // Checks that were called off may still be on their way.
    await delay(talkMs + this.#lab.roundTrip);
    await this.#lab.forget();
    await this.#each((end) => end.talk());
    await delay(talkMs);
    await this.#each((end) => end.hush());
    return relayedPackets((await this.#lab.passages()).get("server"));
  }
}

function timeOf(moments: readonly Moment[], mark: Mark): number {
  return moments.find((one) => one.mark === mark)?.at ?? Number.NaN;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
