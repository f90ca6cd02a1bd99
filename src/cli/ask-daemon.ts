/** Asks the daemon that runs, over its HTTP port and with its token. */
import { formatAddress } from "../core/base/address.ts";
import { PosternError } from "../core/base/failure.ts";
import type { OptionName } from "../server/config/config.ts";
import { type ConfigFlags, loadFromFlags } from "./config-flags.ts";

/** What decides where the daemon is found: it has to be what that was started with. */
export const DAEMON_OPTIONS: readonly OptionName[] = ["dataDir", "httpListen", "httpTokenFile"];

const patienceMs = 10_000;

/** The answer's JSON. Rejects with `PosternError` `http-off`, `no-daemon`, `sip-off` or `daemon-refused`. */
export async function askDaemon(
  path: "/registrations" | "/calls" | "/calls/ended",
  flags: ConfigFlags,
): Promise<unknown> {
  const { config } = await loadFromFlags(flags);
  if (config.httpListen === undefined) {
    throw new PosternError("http-off", "The daemon is asked over HTTP: http-listen must not be off, for it and here.");
  }
  const [{ becomeOwner, openDataDirectory }, { readSecretFile }, { httpTokenFile }] = await Promise.all([
    import("../server/data-directory.ts"),
    import("../server/secret-file.ts"),
    import("../server/secrets.ts"),
  ]);
  becomeOwner(openDataDirectory(config.dataDir));
  const token = readSecretFile(httpTokenFile(config)).reveal();
  const base = `http://${formatAddress(config.httpListen)}`;
  const response = await ask(`${base}${path}`, token).catch((cause: Error) => Promise.reject(noDaemon(base, cause)));
  if (response.ok) return response.json();
  if (response.status === 404) {
    throw new PosternError("sip-off", "The daemon serves no phones: set sip-domain, and start it anew.");
  }
  const { error = "" } = (await response.json().catch(() => ({}))) as { error?: string };
  throw new PosternError("daemon-refused", `The daemon at ${base} answered ${response.status}. ${error}`.trim());
}

function ask(url: string, token: string): Promise<Response> {
  return fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(patienceMs) });
}

function noDaemon(base: string, cause: Error): PosternError {
  const sentence = `No daemon answers at ${base}: is \`postern serve\` running, with the same options or the same file?`;
  return new PosternError("no-daemon", sentence, { cause });
}
