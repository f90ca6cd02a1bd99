/** Whether a STUN or TURN server answers a Binding over TCP or TLS, and what it sees of us. */
import { createConnection, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Address, blankAddress, copyAddress, formatIp } from "../core/base/address.ts";
import { Attribute, MessageClass, Method } from "../core/stun/registry.ts";
import { StunView } from "../core/stun/view.ts";
import { messageId, StunWriter } from "../core/stun/writer.ts";
import { StreamFramer } from "../core/turn/stream-framing.ts";
import { PooledRandom } from "./random.ts";

export interface Reached {
  /** From the first packet to the answer, handshakes included, in milliseconds. */
  readonly ms: number;
  readonly mapped: Readonly<Address> | undefined;
  /** Of TLS: why a browser would refuse the certificate; undefined when it would not. */
  readonly certificateProblem?: string | undefined;
}

const patienceMs = 5_000;
const longestFrame = 4_096;

/** `name`: what the certificate must be for. Resolves undefined when there is no answer; rejects with the signal's reason. */
export async function reachStream(
  transport: "tcp" | "tls",
  address: Readonly<Address>,
  name: string,
  signal?: AbortSignal,
): Promise<Reached | undefined> {
  signal?.throwIfAborted();
  const started = performance.now();
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const giveUp = (): void => resolve(undefined);
  const socket = connect(transport, address, name);
  const timer = setTimeout(giveUp, patienceMs);
  signal?.addEventListener("abort", giveUp);
  const framer = new StreamFramer(longestFrame);
  const id = messageId(new PooledRandom().bytes(12));
  socket.once(transport === "tls" ? "secureConnect" : "connect", () => {
    socket.write(new StunWriter().begin(Method.Binding, MessageClass.Request, id).finish());
  });
  socket.on("data", (chunk: Uint8Array) => {
    framer.push(chunk);
    const frame = framer.next();
    if (frame !== undefined || framer.failure !== undefined) resolve(frame);
  });
  socket.on("error", giveUp).on("close", giveUp);
  try {
    const frame = await promise;
    signal?.throwIfAborted();
    const view = new StunView();
    if (frame === undefined || view.decode(frame) !== undefined || !sameId(view, id)) return undefined;
    return { ms: performance.now() - started, mapped: mappedIn(view), ...certificate(socket) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
    socket.destroy();
  }
}

function connect(transport: "tcp" | "tls", address: Readonly<Address>, name: string): Socket {
  const to = { host: formatIp(address), port: address.port };
  if (transport === "tcp") return createConnection(to);
  // A server whose certificate nobody trusts is reached all the same, and that is told.
  return connectTls({ ...to, rejectUnauthorized: false, ...(isIP(name) === 0 ? { servername: name } : {}) });
}

function sameId(view: StunView, id: Uint8Array): boolean {
  return Buffer.compare(view.data.subarray(4, 20), id) === 0;
}

function mappedIn(view: StunView): Readonly<Address> | undefined {
  const index = view.indexOf(Attribute.XorMappedAddress);
  const mapped = blankAddress();
  return index >= 0 && view.xorAddressAt(index, mapped) ? copyAddress(mapped) : undefined;
}

function certificate(socket: Socket): Pick<Reached, "certificateProblem"> {
  if (!("authorized" in socket)) return {};
  const { authorized, authorizationError } = socket as TLSSocket;
  return { certificateProblem: authorized ? undefined : String(authorizationError) };
}
