/**
 * The program of a worker: a TURN server with clients and relays of its own, on listening sockets that belong to the main
 * thread. It loads nothing that it does not need, for there may be many.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { type Address, formatAddress } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { DiscoverySocket, DiscoverySquare } from "../../core/turn/server/discovery-sites.ts";
import type { UserKeys, UserQuery } from "../../core/turn/server/outputs.ts";
import type { Datapath } from "../datapath/datapath.ts";
import { MmsgDatapath } from "../datapath/mmsg.ts";
import type { withOffload } from "../datapath/offload.ts";
import { offloadReports } from "../datapath/offload-log.ts";
import type { Log } from "../log.ts";
import type { TlsIdentity } from "../net/tls-identity.ts";
import { Secret } from "../secret.ts";
import { recordDescriptorsIn } from "../sys/open-descriptors.ts";
import type { SteeredPair } from "../sys/steering.ts";
import { tidyHeap } from "../tidy-heap.ts";
import { TurnHost } from "../turn-host.ts";
import type { BoundListener } from "../turn-service.ts";
import {
  type FromShard,
  type PlainIdentity,
  plainError,
  type ShardData,
  type ShardTask,
  type TaskResult,
  type ToShard,
} from "./messages.ts";
import { Pulse } from "./pulse.ts";
import { shardLink } from "./shard-link.ts";
import { WaitLoop } from "./wait-loop.ts";

class ShardProgram {
  readonly #port: MessagePort;
  readonly #loop: WaitLoop;
  readonly #log: Log;
  readonly #host: TurnHost;
  /** By address: sockets that are about to be listened on. */
  readonly #sockets: Map<string, SteeredPair> = new Map();
  /** By the main thread's number. */
  readonly #listeners: Map<number, BoundListener> = new Map();
  readonly #lookups: Map<number, (keys: UserKeys | undefined) => void> = new Map();
  #lastLookup = 0;
  /** Since the last flush. */
  #said: FromShard[] = [];

  /** `forwards`: makes a datapath one whose flows the kernel forwards; undefined where that is not asked for. */
  constructor(port: MessagePort, data: ShardData, forwards: typeof withOffload | undefined) {
    this.#port = port;
    this.#loop = new WaitLoop(new Pulse(data.pulse));
    this.#log = logTo((message) => this.#tell(message));
    const { config, streams } = data;
    this.#host = new TurnHost({
      config,
      streams,
      datapath: this.#datapath(data, forwards),
      keys: (user, realm, signal) => this.#findKeys(user, realm, signal),
      onEvent: (event) => this.#tell({ type: "event", event }),
      log: this.#log,
      link: shardLink(data.common, data, this.#loop, (to, message, descriptor) =>
        this.#tell({ type: "toShard", to, message, descriptor }),
      ),
    });
    port.on("message", (message: ToShard) => void this.#handle(message));
    this.#tell({ type: "ready" });
  }

  #datapath(data: ShardData, forwards: typeof withOffload | undefined): Datapath {
    const { wakeDelay } = data;
    const inherited = (address: Readonly<Address>) => this.#sockets.get(formatAddress(address));
    const options = { wakeDelay, inherited, loop: this.#loop };
    if (forwards === undefined) return new MmsgDatapath({ ...options, merges: "bursts" });
    return forwards(new MmsgDatapath(options), data, offloadReports(this.#log));
  }

  /** All that is said in one turn goes in one piece: a message costs more than what is in it. */
  #tell(message: FromShard): void {
    if (this.#said.push(message) === 1) queueMicrotask(this.#flush);
  }

  readonly #flush = (): void => {
    if (this.#said.length > 0) this.#port.postMessage(this.#said);
    this.#said = [];
  };

  #findKeys(user: UserQuery, realm: string, signal: AbortSignal): Promise<UserKeys | undefined> {
    const lookup = ++this.#lastLookup;
    const { promise, resolve } = Promise.withResolvers<UserKeys | undefined>();
    this.#lookups.set(lookup, resolve);
    signal.addEventListener("abort", () => this.#lookups.delete(lookup), { once: true });
    this.#tell({ type: "lookup", lookup, user, realm });
    return promise;
  }

  async #handle(message: ToShard): Promise<void> {
    switch (message.type) {
      case "task":
        return this.#run(message.task, message.what);
      case "tls":
        return this.#host.updateTls(identityOf(message.identity));
      case "addresses":
        return this.#host.setAddresses(message.relays, message.own);
      case "squares":
        return this.#host.setDiscoverySquares(message.squares.flatMap((square) => this.#ownSquare(square)));
      case "secrets":
        return this.#host.setSecrets(message.secrets);
      case "userRemoved":
        return this.#host.removeUser(message.username);
      case "drain":
        await this.#host.drain(0);
        return;
      case "fromShard":
        return this.#host.handleShardMessage(message.from, message.message, message.descriptor);
      case "shardLost":
        return this.#host.handleShardLost(message.shard);
      case "keys": {
        const answer = this.#lookups.get(message.lookup);
        this.#lookups.delete(message.lookup);
        answer?.(message.keys);
      }
    }
  }

  async #run(task: number, what: ShardTask): Promise<void> {
    const result = await this.#perform(what).catch((error: unknown) => ({ error: plainError(error) }));
    this.#tell({ type: "done", task, result });
    if (what.type === "close") this.#end();
  }

  async #perform(what: ShardTask): Promise<TaskResult> {
    switch (what.type) {
      case "listen":
        return { address: await this.#listen(what) };
      case "unlisten": {
        const listener = this.#listeners.get(what.listener);
        this.#listeners.delete(what.listener);
        if (listener !== undefined) this.#host.unlisten(listener);
        return {};
      }
      case "stats": {
        const { datapath, ...stats } = this.#host.stats;
        return { stats: { ...stats, datapath: { ...datapath } } };
      }
      case "close":
        await this.#host.close();
        return {};
    }
  }

  async #listen({ listener, transport, address, identity, sockets }: ShardTask & { type: "listen" }) {
    const at = formatAddress(address);
    if (sockets !== undefined) this.#sockets.set(at, sockets);
    try {
      const tls = identity === undefined ? {} : { tls: identityOf(identity) };
      const bound = await this.#host.listen({ transport, address, ...tls });
      this.#listeners.set(listener, bound);
      return bound.address;
    } finally {
      this.#sockets.delete(at);
    }
  }

  /** The square with this worker's numbers of listeners; nothing where it has not all of them. */
  #ownSquare([one, other]: DiscoverySquare): DiscoverySquare[] {
    const own = (socket: DiscoverySocket): DiscoverySocket | undefined => {
      const listener = this.#listeners.get(socket.listener);
      return listener && { ...socket, listener: listener.id };
    };
    const corners = [...one, ...other].flatMap((socket) => own(socket) ?? []);
    const [a, b, c, d] = corners;
    if (a === undefined || b === undefined || c === undefined || d === undefined) return [];
    return [
      [
        [a, b],
        [c, d],
      ],
    ];
  }

  #end(): void {
    this.#flush();
    this.#port.close();
    this.#loop.close();
  }
}

function identityOf({ certificate, key }: PlainIdentity): TlsIdentity {
  return { certificate, key: new Secret(key) };
}

/** Errors lose most of what they are when they are posted. */
function logTo(tell: (message: FromShard) => void): Log {
  const write = (level: keyof Log) => (fields: object, event: string) => {
    const plain = Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Error ? plainError(value) : value,
    ]);
    tell({ type: "log", level, fields: Object.fromEntries(plain) as object, event });
  };
  return {
    trace: write("trace"),
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
}

if (parentPort === null) throw new PosternError("not-a-worker", "This is the program of a worker: use TurnShards.");
const data = workerData as ShardData;
recordDescriptorsIn(data.descriptors);
const { withOffload: forwards } = data.offload ? await import("../datapath/offload.ts") : { withOffload: undefined };
new ShardProgram(parentPort, data, forwards);
// While nobody waits for it yet.
tidyHeap();
