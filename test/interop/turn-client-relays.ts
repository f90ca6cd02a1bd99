/** The relays that the TURN client is tried against, and ways to reach them. */
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatAddress } from "../../src/core/base/address.ts";
import { Attribute, MessageClass } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import type { TurnClientEvent } from "../../src/core/turn/client/outputs.ts";
import type { TurnAllocation } from "../../src/node/turn-client/turn-allocation.ts";
import { boundUdpSockets } from "../support/bound-sockets.ts";
import { startCoturn } from "../support/coturn.ts";
import { requireIpv6 } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";
import type { RelayOptions, RelayUnderTest } from "../support/relay-under-test.ts";
import { makeTestCertificates, type TestCertificates } from "../support/test-ca.ts";
import { errorCode } from "../support/turn-client.ts";
import { until } from "../support/until.ts";

export const starters = { postern: startPostern, coturn: startCoturn } as const;
export type RelayName = keyof typeof starters;
export const relayNames: readonly RelayName[] = ["postern", "coturn"];

export const transports = ["udp", "tcp", "tls"] as const;
export type Transport = (typeof transports)[number];

export const user = { name: "alice", password: "wonderland" };
export const credentials = { username: user.name, credential: user.password };

/** A certificate for localhost on both families, in a directory of its own. */
export interface Trust extends AsyncDisposable {
  readonly directory: string;
  readonly certificate: TestCertificates;
  readonly ca: string;
}

export async function makeTrust(names = "DNS:localhost,IP:127.0.0.1,IP:::1"): Promise<Trust> {
  const directory = await mkdtemp(join(tmpdir(), "postern-turn-client-"));
  const certificate = await makeTestCertificates(directory, names);
  const ca = await readFile(certificate.ca, "utf8");
  return { directory, certificate, ca, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

export interface Relay extends AsyncDisposable {
  readonly options: RelayOptions & { readonly tlsPort: number };
  readonly name: RelayName;
  /** The process that runs now. */
  readonly process: RelayUnderTest;
  url(transport: Transport, host?: string): string;
  /** Ends it and starts another, which knows nothing of what was, at the same place. */
  restart(signal: NodeJS.Signals): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Waits until it holds no relayed transport address. */
  isEmpty(): Promise<void>;
}

export async function startRelay(name: RelayName, trust: Trust, more: Partial<RelayOptions> = {}): Promise<Relay> {
  const options = {
    addresses: requireIpv6() === false ? ["127.0.0.1", "::1"] : ["127.0.0.1"],
    ...(more.sharedSecret === undefined ? { user } : {}),
    relayPorts: await freePortRange(64),
    allowPeers: ["127.0.0.0/8", "::1/128"],
    certificate: trust.certificate,
    highQuotas: true,
    port: await freePort(),
    tlsPort: await freePort(),
    ...more,
  };
  let process = await starters[name](options);
  const stop = (signal?: NodeJS.Signals) => process.stop(signal);
  return {
    options,
    name,
    get process() {
      return process;
    },
    url: (transport, host = transport === "tls" ? "localhost" : "127.0.0.1") =>
      transport === "tls" ? `turns:${host}:${options.tlsPort}` : `turn:${host}:${options.port}?transport=${transport}`,
    restart: async (signal) => {
      await process.stop(signal);
      process = await starters[name](options);
    },
    stop,
    isEmpty: async () => {
      const isUnbound = () => boundUdpSockets(options.relayPorts, process.pid) === 0;
      await until("no relay port to be left open", isUnbound, { within: 60_000 }).catch((cause) => {
        throw new Error(process.output(), { cause });
      });
      if (name === "postern")
        await until("no allocation", async () => (await process.metric("postern_turn_allocations")) === 0);
    },
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Sends until it comes back: UDP may lose, and an allocation may be on its way. */
export async function echoed(relay: TurnAllocation, peer: string, text: string, within = 10_000): Promise<void> {
  const heard = new Set<string>();
  relay.onData = (data, from) => heard.add(`${Buffer.from(data)} ${formatAddress(from)}`);
  const speak = () => {
    relay.send(peer, Buffer.from(text));
    return heard.has(`${text} ${peer}`);
  };
  await until(`the echo of ${text}`, speak, { within });
}

/** What was told, as `type reason`. */
export function reasons(events: readonly TurnClientEvent[]): string[] {
  return events.flatMap((e) => ("failure" in e && e.failure !== undefined ? [`${e.type} ${e.failure.reason}`] : []));
}

export interface Tap {
  readonly port: number;
  /** Error codes of the responses that passed. */
  readonly codes: number[];
  close(): void;
}

/** Passes datagrams on to a server from one address only: all that come through share one 5-tuple. */
export async function startTap(serverPort: number): Promise<Tap> {
  const [inside, outside] = [createSocket("udp4"), createSocket("udp4")];
  const codes: number[] = [];
  let last: RemoteInfo | undefined;
  inside.on("message", (data, from) => {
    last = from;
    outside.send(data, serverPort, "127.0.0.1");
  });
  outside.on("message", (data) => {
    const view = new StunView();
    const isError = view.decode(data) === undefined && view.class === MessageClass.Error;
    if (isError && view.has(Attribute.ErrorCode)) codes.push(errorCode(view));
    if (last !== undefined) inside.send(data, last.port, last.address);
  });
  for (const socket of [inside, outside]) {
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
  }
  return {
    port: inside.address().port,
    codes,
    close: () => {
      inside.close();
      outside.close();
    },
  };
}
