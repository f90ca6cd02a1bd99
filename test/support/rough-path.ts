/**
 * A UDP path that loses and delays, as a forwarder between clients and a server: each client has a socket of its own
 * toward the server. What it did is counted, so that a test can compare what was measured with what happened.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

export interface RoughPathOptions {
  readonly port: number;
  readonly server: number;
  /** Milliseconds each way. */
  readonly delay?: number;
  /** Further milliseconds on the way back for media with an odd sequence number. */
  readonly unevenness?: number;
  /** The part of media packets that is lost, each way, drawn with the seed. */
  readonly loss?: number;
  readonly seed?: number;
}

export interface RoughPath extends AsyncDisposable {
  /** Nothing passes, either way. */
  isCut: boolean;
  readonly lost: { toServer: number; toClient: number };
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** ChannelData: requests are spared, so that what is lost is what is measured. */
function isMedia(data: Uint8Array): boolean {
  return ((data[0] as number) & 0xc0) === 0x40;
}

/** RFC 3550 §5.1: the sequence number is bytes 2 and 3, behind the four of ChannelData. */
function isOdd(data: Uint8Array): boolean {
  return ((data[7] as number) & 1) === 1;
}

export async function openRoughPath(options: RoughPathOptions): Promise<RoughPath> {
  const { port, server, delay = 0, unevenness = 0, loss = 0, seed = 1 } = options;
  const random = generator(seed);
  const front = createSocket("udp4");
  const onward = new Map<number, Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const path = { isCut: false, lost: { toServer: 0, toClient: 0 } };
  const carry = (data: Uint8Array, way: keyof typeof path.lost, wait: number, send: () => void): void => {
    if (path.isCut) return;
    if (isMedia(data) && random() < loss) {
      path.lost[way]++;
      return;
    }
    const timer = setTimeout(() => {
      timers.delete(timer);
      send();
    }, wait);
    timers.add(timer);
  };
  const open = (client: number): Socket => {
    const socket = createSocket("udp4");
    socket.on("message", (data) => {
      const late = isMedia(data) && isOdd(data) ? unevenness : 0;
      carry(data, "toClient", delay + late, () => front.send(data, client, "127.0.0.1"));
    });
    socket.on("error", () => {});
    onward.set(client, socket);
    return socket;
  };
  front.on("message", (data, { port: client }) => {
    const socket = onward.get(client) ?? open(client);
    carry(data, "toServer", delay, () => socket.send(data, server, "127.0.0.1"));
  });
  front.on("error", () => {});
  front.bind(port, "127.0.0.1");
  await once(front, "listening");
  return Object.assign(path, {
    [Symbol.asyncDispose]: async () => {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of [front, ...onward.values()]) socket.close();
    },
  });
}
