/**
 * A relayed address on a TURN server, on real sockets: opened once, kept alive, and replaced when it is lost.
 *
 *   await using relay = await TurnAllocation.open({ url: "turn:turn.example.org", username, credential });
 *   relay.onData = (data, peer) => …;
 *   await relay.bind("203.0.113.5:7000");
 *   relay.send("203.0.113.5:7000", data);
 */
import { formatAddress, sameAddress, sameIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { Instant } from "../../core/base/machine.ts";
import { DEFAULT_KEEPALIVE, DEFAULT_REALLOCATION, type TurnClientConfig } from "../../core/turn/client/config.ts";
import { type Failure, ownFailure } from "../../core/turn/client/failure.ts";
import type { Allocated, TurnClientEvent } from "../../core/turn/client/outputs.ts";
import { TurnSession, type TurnSessionOutput } from "../../core/turn/client/turn-session.ts";
import { wallClock } from "../clock.ts";
import { nodeCrypto } from "../crypto.ts";
import { PooledRandom } from "../random.ts";
import { ClientDriver, type OnData } from "./client-driver.ts";
import type { TurnAllocationOptions, TurnCredentials } from "./options.ts";
import { type Peer, peerAddress, peerIp } from "./peer.ts";
import { findPlaces, type Place } from "./places.ts";
import type { ServerPath } from "./server-path.ts";

/** How long one place is waited for while there are others. */
const patienceMs = 5_000;
/** A timer that holds the process while the allocation is open, as a socket would, and never matters otherwise. */
const holdMs = 0x7fffffff;

/** Nothing that another address or transport of the same server would mend. */
const FINAL: readonly string[] = ["unauthenticated", "wrong-credentials", "no-common-algorithm"];

interface Waiting {
  /** Whether the event is the answer. */
  readonly isAnswer: (event: TurnClientEvent) => boolean;
  readonly settle: (failure: Failure | undefined) => void;
}

export class TurnAllocation implements AsyncDisposable {
  /** What peers send. What comes before it is set is lost. */
  onData: OnData;
  /** What happens to the allocation: `lost`, `allocated` again, refusals, `ended`. */
  onEvent: (event: TurnClientEvent) => void;
  /** Resolves with the reason when the allocation has ended; never rejects. */
  readonly closed: Promise<Failure>;
  readonly #place: Place;
  readonly #driver: ClientDriver;
  readonly #ended: PromiseWithResolvers<Failure> = Promise.withResolvers();
  readonly #waiting: Set<Waiting> = new Set();
  readonly #hold: NodeJS.Timeout = setInterval(() => {}, holdMs);
  readonly #paths: Map<number, ServerPath> = new Map();
  readonly #renewCredentials: TurnAllocationOptions["renewCredentials"];
  #pathFailure: Error | undefined;
  #allocated: Allocated | undefined;
  #isEnded = false;

  /**
   * Rejects with `PosternError`, whose code is `bad-uri`, `bad-credentials`, `bad-proxy`, `no-server`,
   * `transport-not-supported`, or a `FailureReason`; or with the signal's reason.
   */
  static async open(options: TurnAllocationOptions): Promise<TurnAllocation> {
    const { signal } = options;
    signal?.throwIfAborted();
    const places = await findPlaces(options);
    const tried: string[] = [];
    for (const [i, place] of places.entries()) {
      const allocation = new TurnAllocation(options, place);
      const isLast = i === places.length - 1;
      const failure = await allocation.#start(signal, isLast ? undefined : patienceMs);
      if (failure === undefined) return allocation;
      const cause = allocation.#pathFailure;
      tried.push(`${place.transport} ${formatAddress(place.address)}: ${describe(failure, cause)}`);
      signal?.throwIfAborted();
      if (isLast || FINAL.includes(failure.reason)) {
        throw new PosternError(failure.reason, `No allocation at ${options.url}. ${tried.join(" ")}`, { cause });
      }
    }
    throw new Error("there is no place without an outcome");
  }

  private constructor(options: TurnAllocationOptions, place: Place) {
    this.#place = place;
    this.#renewCredentials = options.renewCredentials;
    this.onData = options.onData ?? (() => {});
    this.onEvent = options.onEvent ?? (() => {});
    this.closed = this.#ended.promise;
    try {
      const ports = { crypto: nodeCrypto, random: new PooledRandom(), wallClock };
      this.#driver = new ClientDriver(new TurnSession(clientConfig(options, place), ports), {
        perform: (output) => this.#perform(output),
        handleFailure: (cause) => this.#break(cause),
      });
    } catch (error) {
      clearInterval(this.#hold);
      throw error;
    }
  }

  /** Relayed transport addresses: one, or with `families: "both"` one of each. They change with an `allocated` event. */
  get relayed(): Allocated["relayed"] {
    return this.#current.relayed;
  }

  /** How the server was reached in the end: a URL may leave that open (RFC 5928). */
  get transport(): "udp" | "tcp" | "tls" {
    return this.#place.transport;
  }

  /** The client's own address, as the server sees it. */
  get mapped(): Allocated["mapped"] {
    return this.#current.mapped;
  }

  /** All that the server told of the allocation, which may be one that replaced the first. */
  get allocated(): Allocated {
    return this.#current;
  }

  get #current(): Allocated {
    return this.#allocated as Allocated;
  }

  /**
   * Lets data through from, and to, a peer's IP address, until `close`. Rejects with `PosternError`: `forbidden`,
   * `peer-family-mismatch`, `insufficient-capacity`, … (a `FailureReason`), `closed`, `bad-peer`.
   */
  async permit(peer: Peer): Promise<void> {
    const address = peerIp(peer);
    const isAnswer = (event: TurnClientEvent): boolean => event.type === "permission" && sameIp(event.peer, address);
    await this.#ask(isAnswer, (client, now) => client.permit(address, now), `permit ${formatAddress(address)}`);
  }

  /** The same for a transport address, with a channel, which makes each packet smaller and cheaper. */
  async bind(peer: Peer): Promise<void> {
    const address = peerAddress(peer);
    const isAnswer = (event: TurnClientEvent): boolean => event.type === "channel" && sameAddress(event.peer, address);
    await this.#ask(
      isAnswer,
      (session, now) => session.bind(address, now),
      `bind a channel to ${formatAddress(address)}`,
    );
  }

  /** Sends to a peer that has a permission or a channel. False when the data was dropped: there is neither, or no room. */
  send(peer: Peer, data: Uint8Array): boolean {
    return this.#driver.send(peerAddress(peer), data, this.#paths);
  }

  /**
   * Goes on with other credentials. With the same user name the allocation stays. With another one it cannot: a second
   * allocation is made with the same permissions and channels, and takes over with the event `allocated`, whose relayed
   * addresses peers must learn; the first is heard for another 30 s. Throws `PosternError` `bad-credentials`.
   */
  renew({ username, credential }: TurnCredentials): void {
    this.#tryInput((session, now) => session.handleCredentials(username, credential, now));
  }

  /** Ends the allocation on the server, waiting up to 2.5 s for it, and closes the socket. */
  async close(): Promise<void> {
    this.#driver.input((client, now) => client.close(now));
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Undefined: there is an allocation. */
  async #start(signal: AbortSignal | undefined, patience: number | undefined): Promise<Failure | undefined> {
    const outcome = this.#expect((event) => event.type === "allocated");
    const abandon = (): void => this.#driver.input((client, now) => client.close(now));
    const timer = patience === undefined ? undefined : setTimeout(abandon, patience);
    signal?.addEventListener("abort", abandon);
    this.#driver.input((client, now) => client.open(now));
    const failure = await outcome;
    clearTimeout(timer);
    signal?.removeEventListener("abort", abandon);
    // Only patience and the signal close it here.
    return failure?.reason === "closed" ? ownFailure("timed-out") : failure;
  }

  async #ask(
    isAnswer: Waiting["isAnswer"],
    ask: (session: TurnSession, now: Instant) => void,
    what: string,
  ): Promise<void> {
    if (this.#isEnded) throw new PosternError("closed", "This allocation has ended: open a new one.");
    const outcome = this.#expect(isAnswer);
    this.#tryInput(ask);
    const failure = await outcome;
    if (failure !== undefined) throw new PosternError(failure.reason, `Cannot ${what}. ${failure.why}`);
  }

  /** An input that may be misuse, which is the caller's to hear of. */
  #tryInput(ask: (session: TurnSession, now: Instant) => void): void {
    let misuse: unknown;
    this.#driver.input((session, now) => {
      try {
        ask(session, now);
      } catch (error) {
        misuse = error;
      }
    });
    if (misuse !== undefined) throw misuse;
  }

  /** Resolves with the failure in the first event that is the answer, or with the reason when all ends first. */
  #expect(isAnswer: Waiting["isAnswer"]): Promise<Failure | undefined> {
    const { promise, resolve } = Promise.withResolvers<Failure | undefined>();
    this.#waiting.add({ isAnswer, settle: resolve });
    return promise;
  }

  #perform(output: TurnSessionOutput): void {
    switch (output.kind) {
      case "connect":
        return this.#connect(output);
      case "disconnect":
        return this.#disconnect(output.path);
      case "send":
        this.#paths.get(output.path)?.send(output.data);
        return;
      case "renew":
        return void this.#askCredentials(output.failure);
      case "event":
        return this.#report(output.event);
    }
  }

  #connect({ path, server, domain }: Extract<TurnSessionOutput, { kind: "connect" }>): void {
    this.#disconnect(path);
    const opened = this.#place.open(server, domain, {
      handleConnected: () => this.#driver.input((session, now) => session.handleConnected(path, now)),
      handleDisconnected: (cause) => {
        this.#pathFailure = cause;
        this.#driver.input((session, now) => session.handleDisconnected(path, now));
      },
      handleMessage: (data) => this.#driver.message(path, data, this.onData),
    });
    this.#paths.set(path, opened);
  }

  #disconnect(path: number): void {
    this.#paths.get(path)?.close();
    this.#paths.delete(path);
  }

  async #askCredentials(failure: Failure): Promise<void> {
    try {
      if (this.#renewCredentials !== undefined) this.renew(await this.#renewCredentials(failure));
    } catch (cause) {
      const why = `${failure.why} There are no others: ${cause}`;
      this.#report({ type: "not-renewed", failure: { ...failure, why } });
      this.#driver.input((session, now) => session.handleNoCredentials(now));
    }
  }

  #report(event: TurnClientEvent): void {
    if (this.#isEnded) return;
    // Apart, so that what the user's code throws is the user's to see.
    queueMicrotask(() => this.onEvent(event));
    if (event.type === "allocated") this.#allocated = event.allocated;
    for (const waiting of this.#waiting) {
      if (event.type !== "ended" && !waiting.isAnswer(event)) continue;
      this.#waiting.delete(waiting);
      waiting.settle("failure" in event ? event.failure : undefined);
    }
    if (event.type === "ended") this.#finish(event.failure);
  }

  /** The machine broke an invariant of its own: this allocation is over, and the process goes on. */
  #break(cause: unknown): void {
    for (const path of [...this.#paths.keys()]) this.#disconnect(path);
    const failure: Failure = {
      reason: "connection-lost",
      code: 0,
      why: `The client gave up, by a mistake of its own: ${cause}`,
    };
    this.#report({ type: "ended", failure });
  }

  #finish(failure: Failure): void {
    this.#isEnded = true;
    clearInterval(this.#hold);
    this.#driver.stop();
    this.#ended.resolve(failure);
  }
}

function clientConfig(options: TurnAllocationOptions, place: Place): TurnClientConfig {
  return {
    server: place.address,
    transport: place.transport,
    username: options.username,
    password: options.credential,
    families: options.families ?? "ipv4",
    lifetime: options.lifetime,
    port: options.port ?? "any",
    reservationToken: options.reservationToken,
    keepalive: options.keepalive ?? DEFAULT_KEEPALIVE,
    reallocation: { ...DEFAULT_REALLOCATION, ...options.reallocation },
    renewable: options.renewCredentials !== undefined,
    dontFragment: options.dontFragment ?? false,
  };
}

function describe({ why }: Failure, cause: Error | undefined): string {
  return cause === undefined ? why : `${why} (${cause.message})`;
}
