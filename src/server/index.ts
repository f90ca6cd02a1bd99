/** `postern/server`: the daemon inside another program. */
import type { OptionName } from "./config/config.ts";
import { loadConfig } from "./config/load.ts";
import { Daemon } from "./daemon.ts";
import { openLog } from "./log.ts";
import { version } from "./version.ts";

export type { Daemon } from "./daemon.ts";
export type { TimeLimitedCredentials } from "./time-limited-credentials.ts";

/** Every option of docs/configuration.md, in camel case, with its value as in the file: `{ tcpPort: "off" }`. */
export type ServerOptions = Readonly<Partial<Record<OptionName, string | number | boolean | readonly string[]>>>;

/**
 * Starts a server and resolves when it listens. Options win over POSTERN_… variables and the configuration file, as
 * flags do. Signals are left to the program: call `drain` and `close`. Rejects with `PosternError`.
 */
export async function startServer(options: ServerOptions = {}): Promise<Daemon> {
  const load = () => loadConfig({ flags: options, env: process.env });
  const loaded = await load();
  return Daemon.start({ loaded, reload: load, log: await openLog(loaded.config), version });
}
