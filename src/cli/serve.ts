/** `postern serve`: the daemon, from its first line of output to its exit. */
import type { Command } from "commander";
import { collectThoroughly, tidyHeap } from "../node/tidy-heap.ts";
import type { Daemon } from "../server/daemon.ts";
import type { DaemonLog } from "../server/log.ts";
import { addConfigFlags, type ConfigFlags, loadFromFlags } from "./config-flags.ts";
import { Signals } from "./signals.ts";

interface ServeFlags {
  readonly printConfig?: boolean;
}

export function addServeCommand(program: Command): void {
  const command = program
    .command("serve")
    .description("serve STUN and TURN, and SIP where a domain is given")
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
  collectThoroughly(true);
  const log = await openLog(loaded.config);
  // Before anything answers: who is answered may signal.
  const signals = new Signals();
  const daemon = await Daemon.start({ loaded, reload: () => loadFromFlags(flags), log, version });
  signals.onReload(() => void daemon.reload("signal"));
  const { allocations, limitedBy } = daemon.capacity;
  const threads = daemon.shards.length === 0 ? {} : { shards: daemon.shards.map(({ name }) => name) };
  log.info({ version, config: loaded.file, allocations, limitedBy, ...threads }, "serving");
  if (loaded.config.greeting) {
    const { greeting } = await import("../server/greeting.ts");
    process.stdout.write(`${greeting(daemon, version)}\n`);
  }
  tidyHeap();
  collectThoroughly(false);
  await endWhenAsked(daemon, signals, log);
}

async function endWhenAsked(daemon: Daemon, signals: Signals, log: DaemonLog): Promise<void> {
  const signal = await signals.end;
  log.info({ signal, ...daemon.sessions, seconds: daemon.config.drainDeadline }, "draining");
  const { allocations, calls } = await daemon.drain(signals.hurry).catch(() => daemon.sessions);
  await daemon.close();
  log.info({ ended: allocations + calls, allocations, calls }, "stopped");
  // Node joins every thread before it ends, `process.exit` too.
  if (daemon.shards.some(({ isStuck }) => isStuck)) process.kill(process.pid, "SIGKILL");
}
