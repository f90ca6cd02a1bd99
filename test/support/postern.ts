/** Postern as the relay under test: the daemon as users run it, with a configuration file in a directory of its own. */
import { chown, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boundUdpSockets } from "./bound-sockets.ts";
import { type Child, startChild } from "./child.ts";
import { freePort } from "./ports.ts";
import type { RelayOptions, RelayUnderTest } from "./relay-under-test.ts";
import { until } from "./until.ts";

const sources = join(import.meta.dirname, "../../src/cli/main.ts");
const many = 1_000_000;

export async function startPostern(options: RelayOptions): Promise<RelayUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), "postern-under-test-"));
  const clean = () => rm(directory, { recursive: true, force: true });
  try {
    return await startIn(directory, options, clean);
  } catch (cause) {
    await clean();
    throw cause;
  }
}

async function startIn(directory: string, options: RelayOptions, clean: () => Promise<void>): Promise<RelayUnderTest> {
  const httpPort = await freePort();
  const file = join(directory, "postern.yaml");
  const settings = configuration(options, directory, httpPort);
  // JSON is YAML.
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 });
  if (options.user !== undefined) await addUser(options.user, file);
  if (options.owner !== undefined) await giveTo(options.owner, directory);
  const command = [process.execPath, options.program ?? sources, ...(options.behind ?? []), "serve", "--config", file];
  const child = await startChild([...(options.through ?? []), ...command]);
  try {
    await until("Postern to listen", () => isListening(child, options.port, settings.listen.length), {
      within: 60_000,
    });
  } catch (cause) {
    await child.stop();
    throw cause;
  }
  return {
    name: "postern",
    pid: child.pid,
    output: child.output,
    isRunning: () => child.ending() === undefined,
    metric: async (name) => {
      const response = await fetch(`http://127.0.0.1:${httpPort}/metrics`);
      const line = (await response.text()).split("\n").find((text) => text.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.slice(name.length + 1));
    },
    stop: async (signal) => {
      await child.stop(signal);
      await clean();
    },
  };
}

async function giveTo(owner: number, directory: string): Promise<void> {
  await chown(directory, owner, owner);
  for (const name of await readdir(directory, { recursive: true })) await chown(join(directory, name), owner, owner);
}

function isListening(child: Child, port: number, addresses: number): boolean {
  if (child.ending() !== undefined) throw new Error(`Postern ended:\n${child.output()}`);
  // UDP listeners may come before the others; this line comes after all of them.
  return boundUdpSockets({ low: port, high: port }, child.pid) >= addresses && /"serving"/.test(child.output());
}

async function addUser({ name, password }: { name: string; password: string }, file: string): Promise<void> {
  const command = [process.execPath, sources, "user", "add", name, "--password-stdin", "--config", file];
  const child = await startChild(command, { holdInput: true });
  child.write(password);
  child.closeInput();
  const { code } = await child.ended();
  if (code !== 0) throw new Error(`no user was added:\n${child.output()}`);
}

function configuration(options: RelayOptions, directory: string, httpPort: number) {
  const { addresses = ["127.0.0.1"], external = {}, user, sharedSecret, certificate, maxLifetime } = options;
  return {
    "data-dir": join(directory, "data"),
    greeting: false,
    "drain-deadline": "0s",
    listen: addresses,
    "udp-port": options.port,
    "tcp-port": options.port,
    "tls-port": certificate === undefined ? "off" : options.tlsPort,
    ...(certificate && { "tls-cert": certificate.cert, "tls-key": certificate.key }),
    realm: options.realm ?? "example.org",
    auth: user === undefined ? "shared-secret" : "users",
    ...(sharedSecret && { "shared-secrets": [sharedSecret] }),
    "relay-addresses": addresses,
    "relay-ports": `${options.relayPorts.low}-${options.relayPorts.high}`,
    "external-address": Object.entries(external).map(([inside, outside]) => `${inside}=${outside}`),
    ...(maxLifetime && { "allocation-lifetime": `${maxLifetime}s`, "max-allocation-lifetime": `${maxLifetime}s` }),
    ...(options.channelRange && { "channel-range": options.channelRange }),
    "allow-peers": options.allowPeers,
    ...(options.highQuotas && { allocations: many, "allocations-per-user": many, "bytes-per-second": "100G" }),
    "http-listen": `127.0.0.1:${httpPort}`,
    ...options.postern,
  };
}
