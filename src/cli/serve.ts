/** `postern serve`: the daemon, from its first line of output to its exit. */
import type { Command } from "commander";
import type { Daemon } from "../server/daemon.ts";
import type { DaemonLog } from "../server/log.ts";
import { addConfigFlags, type ConfigFlags, loadFromFlags } from "./config-flags.ts";

interface ServeFlags {
  readonly printConfig?: boolean;
}

export function addServeCommand(program: Command): void {
  const command = program
    .command("serve")
    .description("serve STUN and TURN")
    .option("--print-config", "print the effective configuration as YAML, without secrets, and exit");
  addConfigFlags(command).action(serve);
}

async function serve({ printConfig, ...flags }: ServeFlags & ConfigFlags): Promise<void> {
  const loaded = await loadFromFlags(flags);
  if (printConfig === true) {
    const { printConfig: print } = await import("../server/config/print.ts");
    process.stdout.write(print(loaded.config));
    return;
  }
  const [{ Daemon }, { openLog }, { version }] = await Promise.all([
    import("../server/daemon.ts"),
    import("../server/log.ts"),
    import("../server/version.ts"),
  ]);
  const log = await openLog(loaded.config);
  const daemon = await Daemon.start({ loaded, reload: () => loadFromFlags(flags), log, version });
  const ended = runUntilSignal(daemon, log);
  const { allocations, limitedBy } = daemon.capacity;
  log.info({ version, config: loaded.file, allocations, limitedBy }, "serving");
  if (loaded.config.greeting) {
    const { greeting } = await import("../server/greeting.ts");
    process.stdout.write(`${greeting(daemon, version)}\n`);
  }
  await ended;
}

/** SIGTERM and SIGINT drain, a second one ends at once, SIGHUP reloads. Resolves when the daemon is closed. */
async function runUntilSignal(daemon: Daemon, log: DaemonLog): Promise<void> {
  const { promise: asked, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const hurry = new AbortController();
  let signals = 0;
  const end = (signal: NodeJS.Signals) => {
    if (++signals > 1) hurry.abort();
    resolve(signal);
  };
  process.on("SIGTERM", end).on("SIGINT", end);
  process.on("SIGHUP", () => void daemon.reload("signal"));
  const signal = await asked;
  const { drainDeadline } = daemon.config;
  log.info({ signal, allocations: daemon.allocations, seconds: drainDeadline }, "draining");
  const left = await daemon.drain(hurry.signal).catch(() => daemon.allocations);
  await daemon.close();
  log.info({ ended: left }, "stopped");
}
