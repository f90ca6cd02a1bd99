/**
 * Where the server is reached and relays: the plan that runs, and what keeps it true. The host's addresses come and go,
 * and names point elsewhere; sessions on what stays go on.
 */
import { PosternError } from "../core/base/failure.ts";
import { interfaceAddresses } from "../node/interfaces.ts";
import type { TurnService } from "../node/turn-service.ts";
import { type AddressPlan, planAddresses } from "./address-plan.ts";
import type { Config } from "./config/config.ts";
import { type ResolvedExternal, resolveExternal, routedAddresses, sameExternal } from "./external-address.ts";
import type { DaemonLog } from "./log.ts";

export interface Place {
  readonly plan: AddressPlan;
  readonly external: readonly ResolvedExternal[];
}

/** Looks names and addresses up. Rejects with the `PosternError` of `resolveExternal` or `planAddresses`. */
export async function findPlace(config: Config, known?: readonly ResolvedExternal[]): Promise<Place> {
  const [external, routed] = await Promise.all([known ?? resolveExternal(config.externalAddress), routedAddresses()]);
  return { external, plan: planAddresses(config, { interfaces: interfaceAddresses(), routed, external }) };
}

/** What has listeners of its own, or tells addresses to clients. */
export interface PlaceFollower {
  /** Rejects with `PosternError` when something cannot be opened, after everything else has been. */
  follow(plan: AddressPlan): Promise<void>;
  /** Whether everything that the plan asks for is open. */
  isComplete(plan: AddressPlan): boolean;
}

/** Soon enough for an address that is still being probed (RFC 4862), or a port that is about to be free. */
const retryMs = 3_000;

export class Places implements Disposable {
  readonly #host: TurnService;
  readonly #followers: PlaceFollower[];
  readonly #log: DaemonLog;
  #place: Place;
  #retry: NodeJS.Timeout | undefined;
  /** The last that was told of each. */
  readonly #problems: Map<PlaceFollower, string> = new Map();
  readonly #inTurn: (work: () => Promise<void>) => void;

  /** `inTurn` runs what is started here between other changes to the server, never during one. */
  constructor(
    place: Place,
    host: TurnService,
    listeners: PlaceFollower,
    log: DaemonLog,
    inTurn: (work: () => Promise<void>) => void,
  ) {
    this.#place = place;
    this.#host = host;
    this.#followers = [listeners];
    this.#log = log;
    this.#inTurn = inTurn;
  }

  get plan(): AddressPlan {
    return this.#place.plan;
  }

  /** Opens the listeners of the plan. Rejects with the `PosternError` of their `listen`. */
  async open(): Promise<void> {
    for (const follower of this.#followers) await follower.follow(this.plan);
    this.#retryIfIncomplete();
  }

  /** Opens the listeners of another one, which follows from now on. Rejects as `open` does. */
  async add(follower: PlaceFollower): Promise<void> {
    this.#followers.push(follower);
    await follower.follow(this.plan);
    this.#retryIfIncomplete();
  }

  /** Goes over to another plan. A listener that cannot be opened is logged, and tried again. */
  async moveTo(place: Place): Promise<void> {
    this.#place = place;
    this.#host.setAddresses(place.plan.relays, place.plan.own);
    for (const follower of this.#followers) {
      try {
        await follower.follow(place.plan);
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        this.#report(follower, error);
      }
    }
    this.#retryIfIncomplete();
  }

  /** The host's addresses have changed. */
  async followHost(config: Config): Promise<void> {
    const place = await findPlace(config, this.#place.external);
    this.#log.info({ addresses: place.plan.own.length }, "host-addresses-changed");
    await this.moveTo(place);
  }

  /** Names may point elsewhere by now; what cannot be looked up stays as it is. */
  async followNames(config: Config): Promise<void> {
    if (!config.externalAddress.some(({ advertised }) => typeof advertised === "string")) return;
    try {
      const place = await findPlace(config);
      if (sameExternal(place.external, this.#place.external)) return;
      this.#log.info({}, "external-address-changed");
      await this.moveTo(place);
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      this.#log.warn({ code: error.code, problem: error.message }, "external-address-kept");
    }
  }

  /** Once for each problem: it is tried again for as long as it lasts. */
  #report(follower: PlaceFollower, { code, message }: PosternError): void {
    if (message !== this.#problems.get(follower)) this.#log.warn({ code, problem: message }, "listener-failed");
    this.#problems.set(follower, message);
  }

  #retryIfIncomplete(): void {
    clearTimeout(this.#retry);
    const incomplete = this.#followers.filter((one) => !one.isComplete(this.plan));
    for (const one of this.#followers) if (!incomplete.includes(one)) this.#problems.delete(one);
    if (incomplete.length === 0) return;
    this.#retry = setTimeout(() => this.#inTurn(() => this.moveTo(this.#place)), retryMs).unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#retry);
  }
}
