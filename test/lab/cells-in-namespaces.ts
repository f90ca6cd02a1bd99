/** The lab's namespaces as ground for a script. */
import { spawn } from "node:child_process";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Network } from "../../src/lab/network.ts";
import { through } from "../interop/networks.ts";
import type { SocketPlace } from "./cells-in-memory.ts";
import type { Ground, Heard } from "./cells-play.ts";

/** How long what must arrive may take, and how long what must not is waited for; both are recorded however late. */
const [patience, decency] = [2_000, 10];

/** Sockets that were bound in a namespace, and are used from here. */
export async function bindIn(network: Network, places: ReadonlyMap<string, SocketPlace>): Promise<Map<string, Socket>> {
  const hosts = Map.groupBy(places, ([, { host }]) => host);
  const bound = await Promise.all([...hosts].map(([host, its]) => bindAt(network, host, its)));
  return new Map(bound.flat());
}

async function bindAt(
  network: Network,
  host: string,
  places: readonly (readonly [string, SocketPlace])[],
): Promise<(readonly [string, Socket])[]> {
  const [program = "", ...args] = [...through(network.at(host)), process.execPath];
  const script = new URL("cells-bind.ts", import.meta.url).pathname;
  const wanted = JSON.stringify(places.map(([, { address, port }]) => [address, port]));
  const child = spawn(program, [...args, script, wanted], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const bound: (readonly [string, Socket])[] = [];
  child.on("message", (_, socket) => bound.push([places[bound.length]![0], socket as Socket]));
  await once(child, "disconnect");
  if (bound.length < places.length) throw new Error(`${host} bound ${bound.length} of ${wanted}`);
  return bound;
}

export class NamespaceGround implements Ground {
  readonly heard: Heard[] = [];
  readonly #places: ReadonlyMap<string, SocketPlace>;
  readonly #sockets: ReadonlyMap<string, Socket>;
  readonly #lifetime: number;
  readonly #mark: string;
  readonly #isAwaited: (text: string) => boolean;
  readonly #arrived: Map<string, () => void> = new Map();

  /** `mark` tells this ground's texts from those of others with the same outside; `isAwaited` which must arrive. */
  constructor(
    places: ReadonlyMap<string, SocketPlace>,
    sockets: ReadonlyMap<string, Socket>,
    { lifetime, mark, isAwaited }: { lifetime: number; mark: string; isAwaited: (text: string) => boolean },
  ) {
    this.#places = places;
    this.#sockets = sockets;
    this.#lifetime = lifetime;
    this.#mark = `${mark} `;
    this.#isAwaited = isAwaited;
    for (const [name, socket] of sockets) {
      socket.on("error", () => {}); // A router says that it has no such port.
      socket.on("message", (data, { address, port }) => this.#hear(name, `${data}`, `${address}:${port}`));
    }
  }

  addressOf(socket: string): string {
    const { address, port } = this.#places.get(socket)!;
    return `${address}:${port}`;
  }

  async send(from: string, to: string, text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#arrived.set(text, resolve);
    const [address, port] = to.split(":");
    this.#sockets.get(from)!.send(this.#mark + text, Number(port), address);
    const giveUp = new AbortController();
    const late = delay(this.#isAwaited(text) ? patience : decency, undefined, { signal: giveUp.signal });
    await Promise.race([promise, late.catch(() => {})]);
    giveUp.abort();
  }

  async wait(lifetimes: number): Promise<void> {
    await delay(lifetimes * this.#lifetime);
  }

  #hear(by: string, text: string, from: string): void {
    if (!text.startsWith(this.#mark)) return;
    const own = text.slice(this.#mark.length);
    this.heard.push({ text: own, by, from });
    this.#arrived.get(own)?.();
  }
}
