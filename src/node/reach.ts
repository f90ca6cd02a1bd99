/** Whether a STUN or TURN server answers Bindings over TCP or TLS, how soon, and what it sees of us. */
import { createConnection, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Address, formatIp } from "../core/base/address.ts";
import { BindingProbes } from "../core/stun/binding-probes.ts";
import { StreamFramer } from "../core/turn/stream-framing.ts";
import { PooledRandom } from "./random.ts";
import { connectThrough, type HttpProxy } from "./turn-client/http-proxy.ts";

export interface Reached {
  /** From the first packet to the first answer, handshakes included, in milliseconds. */
  readonly ms: number;
  /** From a Binding to its answer once the connection stands, the median of some; undefined: only one was answered. */
  readonly roundTrip: number | undefined;
  readonly mapped: Readonly<Address> | undefined;
  /** Of TLS: why a browser would refuse the certificate; undefined when it would not. */
  readonly certificateProblem?: string | undefined;
}

export interface ReachOptions {
  readonly signal?: AbortSignal;
  /** Connects to `name`, and the address does not matter but for its port. */
  readonly proxy?: HttpProxy | undefined;
}

const patienceMs = 5_000;
const longestFrame = 4_096;
const bindings = 5;

/** `name`: what the certificate must be for. Resolves undefined when there is no answer; rejects with the signal's reason. */
export async function reachStream(
  transport: "tcp" | "tls",
  address: Readonly<Address>,
  name: string,
  { signal, proxy }: ReachOptions = {},
): Promise<Reached | undefined> {
  signal?.throwIfAborted();
  const started = performance.now();
  const late = AbortSignal.timeout(patienceMs);
  const end = signal === undefined ? late : AbortSignal.any([signal, late]);
  const stream = await openStream(transport, address, name, end, proxy);
  signal?.throwIfAborted();
  if (stream === undefined) return undefined;
  try {
    const answers = await converse(stream, end);
    signal?.throwIfAborted();
    const first = answers[0];
    if (first === undefined) return undefined;
    const later = answers.slice(1).map(({ at }, i) => at - (answers[i] as Answer).at);
    const roundTrip = later.sort((a, b) => a - b)[later.length >> 1];
    return { ms: first.at - started, roundTrip, mapped: first.mapped, ...certificate(stream.socket) };
  } finally {
    stream.socket.destroy();
  }
}

export interface OpeningStream {
  readonly socket: Socket;
  /** What the socket emits when it can be written to; undefined: it can be now. */
  readonly opens: "connect" | "secureConnect" | undefined;
}

/** `proxy`: is told `name`. Resolves undefined when that does not connect. */
export async function openStream(
  transport: "tcp" | "tls",
  address: Readonly<Address>,
  name: string,
  signal: AbortSignal,
  proxy: HttpProxy | undefined,
): Promise<OpeningStream | undefined> {
  const through = proxy && (await connectThrough(proxy, name, address.port, signal).catch(() => undefined));
  if (proxy !== undefined && through === undefined) return undefined;
  const to = { host: formatIp(address), port: address.port };
  if (transport === "tcp") {
    return through ? { socket: through, opens: undefined } : { socket: createConnection(to), opens: "connect" };
  }
  // A server whose certificate nobody trusts is reached all the same, and that is told.
  const tls = { rejectUnauthorized: false, ...(isIP(name) === 0 ? { servername: name } : { host: name }) };
  const socket = connectTls(through === undefined ? { ...tls, ...to } : { ...tls, socket: through });
  return { socket, opens: "secureConnect" };
}

interface Answer {
  readonly at: number;
  readonly mapped: Readonly<Address> | undefined;
}

/** One Binding after another, each sent when the one before is answered; what came of them, and when. */
async function converse({ socket, opens }: OpeningStream, signal: AbortSignal): Promise<Answer[]> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const answers: Answer[] = [];
  const probes = new BindingProbes(new PooledRandom());
  const framer = new StreamFramer(longestFrame);
  const ask = (): void => void socket.write(probes.request(answers.length));
  const giveUp = (): void => resolve();
  socket.on("data", (chunk: Uint8Array) => {
    framer.push(chunk);
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      const answer = probes.read(frame);
      if (answer?.sequence !== answers.length) return giveUp();
      answers.push({ at: performance.now(), mapped: answer.mapped });
      if (answers.length === bindings) return giveUp();
      ask();
    }
    if (framer.failure !== undefined) giveUp();
  });
  socket.on("error", giveUp).on("close", giveUp);
  signal.addEventListener("abort", giveUp);
  if (opens === undefined) ask();
  else socket.once(opens, ask);
  await promise;
  signal.removeEventListener("abort", giveUp);
  return answers;
}

function certificate(socket: Socket): Pick<Reached, "certificateProblem"> {
  if (!("authorized" in socket)) return {};
  const { authorized, authorizationError } = socket as TLSSocket;
  return { certificateProblem: authorized ? undefined : String(authorizationError) };
}
