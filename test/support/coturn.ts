/** coturn as the relay under test: the yardstick, and the proof that a test asks for nothing that only Postern does. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boundUdpSockets } from "./bound-sockets.ts";
import { startChild } from "./child.ts";
import { peerPath } from "./peers.ts";
import type { RelayOptions, RelayUnderTest } from "./relay-under-test.ts";
import { until } from "./until.ts";

/** Starts turnserver with one relay thread. */
export async function startCoturn(options: RelayOptions): Promise<RelayUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), "postern-coturn-"));
  const child = await startChild([
    ...(options.through ?? []),
    peerPath("turnserver") ?? "turnserver",
    ...flags(options, directory),
  ]);
  const stop = async (signal?: NodeJS.Signals) => {
    await child.stop(signal);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await until("coturn to listen", () => {
      if (child.ending() !== undefined) throw new Error(`coturn ended:\n${child.output()}`);
      return boundUdpSockets({ low: options.port, high: options.port }, child.pid) > 0;
    });
  } catch (cause) {
    await stop();
    throw cause;
  }
  return {
    name: "coturn",
    pid: child.pid,
    output: child.output,
    isRunning: () => child.ending() === undefined,
    metric: async () => undefined,
    stop,
  };
}

function flags(options: RelayOptions, directory: string): string[] {
  const { addresses = ["127.0.0.1"], external = {}, user, sharedSecret, certificate } = options;
  return [
    "-n",
    ...addresses.flatMap((address) => ["-L", address, "-E", address]),
    ...Object.entries(external).flatMap(([inside, outside]) => ["-X", `${outside}/${inside}`]),
    ...["-p", String(options.port), "--tls-listening-port", String(options.tlsPort ?? options.port + 1)],
    ...(certificate ? ["--cert", certificate.cert, "--pkey", certificate.key] : ["--no-tls", "--no-dtls"]),
    ...["-r", options.realm ?? "example.org"],
    ...(user ? ["--lt-cred-mech", "--user", `${user.name}:${user.password}`] : []),
    ...(sharedSecret ? ["--use-auth-secret", "--static-auth-secret", sharedSecret] : []),
    ...["--min-port", String(options.relayPorts.low), "--max-port", String(options.relayPorts.high)],
    ...options.allowPeers.map((prefix) => `--allowed-peer-ip=${firstAndLast(prefix)}`),
    ...(options.maxLifetime === undefined ? [] : ["--max-allocate-lifetime", String(options.maxLifetime)]),
    ...["--allow-loopback-peers", "--relay-threads", "1", "--no-rfc5780", "--no-cli"],
    ...["--log-file", "stdout", "--pidfile", join(directory, "pid"), "--db", join(directory, "db")],
    ...(options.coturn ?? []),
  ];
}

/** coturn takes ranges, not prefixes; whole octets are all that tests need. */
function firstAndLast(prefix: string): string {
  const [address = "", length = "32"] = prefix.split("/");
  if (address.includes(":")) return address;
  const octets = address.split(".").map(Number);
  const whole = Number(length) / 8;
  const last = octets.map((octet, i) => (i < whole ? octet : 255));
  return `${octets.join(".")}-${last.join(".")}`;
}
