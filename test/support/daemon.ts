/** `postern serve` as a real process with ports and a data directory of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, startChild } from "./child.ts";
import { freePort, freePortRange } from "./ports.ts";
import { until } from "./until.ts";

export const main = join(import.meta.dirname, "../../src/cli/main.ts");

/** A variable that the machine happens to have must not configure a test. */
export const cleanEnvironment: Readonly<Record<string, string>> = Object.fromEntries([
  ...Object.keys(process.env)
    .filter((name) => name.startsWith("POSTERN_"))
    .map((name) => [name, ""]),
  ["XDG_CONFIG_HOME", "/nonexistent"],
  ["STATE_DIRECTORY", ""],
]);

/** The command line of `postern`, run from the sources. */
export function postern(...args: readonly string[]): string[] {
  return [process.execPath, main, ...args];
}

export interface Ports {
  /** UDP and TCP. */
  readonly port: number;
  readonly tlsPort: number;
  readonly httpPort: number;
  readonly relayPorts: { readonly low: number; readonly high: number };
}

export async function freeDaemonPorts(): Promise<Ports> {
  const [port, tlsPort, httpPort] = [await freePort(), await freePort(), await freePort()];
  return { port, tlsPort, httpPort, relayPorts: await freePortRange(64) };
}

export function portFlags({ port, tlsPort, httpPort, relayPorts }: Ports): string[] {
  return [
    ...["--udp-port", `${port}`, "--tcp-port", `${port}`, "--tls-port", `${tlsPort}`],
    ...["--http-listen", `127.0.0.1:${httpPort}`, "--relay-ports", `${relayPorts.low}-${relayPorts.high}`],
  ];
}

export interface RunningDaemon extends AsyncDisposable {
  readonly child: Child;
  readonly dataDir: string;
  readonly ports: Ports;
  /** Waits until the daemon logged a line with `event`; gives the first such line after `skip` others. */
  logged(event: string, options?: { skip?: number; within?: number }): Promise<Record<string, unknown>>;
}

export interface DaemonSettings {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly ports?: Ports;
  /** One that is there already, and stays. */
  readonly dataDir?: string;
  /** What it is started through, such as another network namespace. */
  readonly through?: readonly string[];
  /** 127.0.0.1 unless told otherwise; empty: every address. */
  readonly listen?: readonly string[];
}

/** Starts, and resolves when it says that it serves. */
export async function startDaemon({ flags = [], env = {}, ...given }: DaemonSettings = {}): Promise<RunningDaemon> {
  const home = given.dataDir === undefined ? await mkdtemp(join(tmpdir(), "postern-serve-")) : undefined;
  const dataDir = given.dataDir ?? join(home as string, "data");
  const ports = given.ports ?? (await freeDaemonPorts());
  const { through = [], listen = ["127.0.0.1"] } = given;
  const common = [
    "serve",
    "--data-dir",
    dataDir,
    ...listen.flatMap((one) => ["--listen", one]),
    "--log-format",
    "json",
  ];
  const child = await startChild([...through, ...postern(...common, ...portFlags(ports), ...flags)], {
    // Sessions that a test leaves behind are not waited for.
    env: { ...cleanEnvironment, POSTERN_DRAIN_DEADLINE: "0s", ...env },
  });
  const stop = async () => {
    await child.stop();
    if (home !== undefined) await rm(home, { recursive: true, force: true });
  };
  const logged: RunningDaemon["logged"] = (event, { skip = 0, within = 20_000 } = {}) =>
    until(
      `the log line ${event}`,
      () => {
        const found = logLines(child.output()).filter((line) => line["event"] === event)[skip];
        if (found === undefined && child.ending() !== undefined) throw new Error(`postern ended:\n${child.output()}`);
        return found;
      },
      { within },
    );
  try {
    // What waits for minutes begins all at once, on however few processors there are.
    await logged("serving", { within: 90_000 });
  } catch (cause) {
    await stop();
    throw cause;
  }
  return { child, dataDir, ports, logged, [Symbol.asyncDispose]: stop };
}

/** The JSON lines in what a daemon wrote. */
export function logLines(output: string): Record<string, unknown>[] {
  return output
    .split("\n")
    .filter((line) => line.startsWith('{"'))
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        return []; // Not whole yet.
      }
    });
}
