/** `postern credentials`: time-limited credentials from the shared secret, ready to paste. */
import { type Command, InvalidArgumentError } from "commander";
import { PosternError } from "../core/base/failure.ts";
import { wallClock } from "../node/clock.ts";
import type { OptionName } from "../server/config/config.ts";
import { formatDuration, parseDuration } from "../server/config/kinds.ts";
import { addConfigFlags, type ConfigFlags, loadFromFlags } from "./config-flags.ts";

interface CredentialsFlags {
  readonly user?: string;
  readonly ttl?: number;
  readonly json?: boolean;
}

/** What decides where the block points: it has to be what the daemon was started with. */
const SHOWN: readonly OptionName[] = [
  "dataDir",
  "serverName",
  "externalAddress",
  "listen",
  "relayAddresses",
  "udpPort",
  "tcpPort",
  "tlsPort",
  "tlsCert",
  "tlsKey",
  "credentialLifetime",
];

export function addCredentialsCommand(program: Command): void {
  const command = program
    .command("credentials")
    .description(
      "print time-limited credentials as a ready iceServers block; takes the same options as the daemon, or the same file",
    )
    .option("--user <NAME>", "whom quotas and logs count the sessions to")
    .option("--ttl <DURATION>", "how long they are good for, such as 90s, 10m or 12h", ttl)
    .option("--json", "print JSON");
  addConfigFlags(command, SHOWN).action(credentials);
}

function ttl(text: string): number {
  const seconds = parseDuration(text);
  if (seconds === undefined || seconds === 0) throw new InvalidArgumentError("Give a time such as 90s, 10m or 12h.");
  return seconds;
}

async function credentials({ user, ttl: wanted, json, ...flags }: CredentialsFlags & ConfigFlags): Promise<void> {
  const { config } = await loadFromFlags(flags);
  const [
    { becomeOwner, openDataDirectory },
    { loadSharedSecrets },
    made,
    { iceUris },
    { findPlace },
    { iceServersBlock },
  ] = await Promise.all([
    import("../server/data-directory.ts"),
    import("../server/shared-secrets.ts"),
    import("../server/time-limited-credentials.ts"),
    import("../server/public-uris.ts"),
    import("../server/places.ts"),
    import("../server/ice-servers.ts"),
  ]);
  if (user !== undefined && !made.isUser(user)) {
    throw new PosternError("bad-user", "--user must be 1 to 128 printable characters without a colon.");
  }
  becomeOwner(openDataDirectory(config.dataDir));
  const [secret] = loadSharedSecrets(config);
  if (secret === undefined) {
    throw new PosternError("no-shared-secret", "With auth: users there is no shared secret: use `postern user add`.");
  }
  const seconds = wanted ?? config.credentialLifetime;
  const { username, credential, expiry } = made.makeCredentials(secret, { user, ttl: seconds, now: wallClock.now() });
  const urls = iceUris(config, (await findPlace(config)).plan);
  if (json === true) {
    const iceServers = [{ urls, username, credential }];
    console.log(JSON.stringify({ username, credential, ttl: seconds, urls, iceServers }, undefined, 2));
    return;
  }
  const until = new Date(expiry * 1000).toISOString().replace(".000", "");
  console.log(`// Good for ${formatDuration(seconds)}, until ${until}.`);
  console.log(iceServersBlock(urls, { username, credential, expiry }));
}
