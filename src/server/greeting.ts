/** What `postern serve` prints when it is ready: where it listens, what to paste, and what to do next. */
import { formatAddress, formatIp } from "../core/base/address.ts";
import { parsePrefix, prefixContains } from "../core/base/prefix.ts";
import { isLoopback } from "./address-plan.ts";
import type { Config } from "./config/config.ts";
import { formatDuration } from "./config/kinds.ts";
import type { Daemon } from "./daemon.ts";
import { iceServersBlock } from "./ice-servers.ts";
import { allUris, outsideAddresses } from "./public-uris.ts";
import { httpTokenFile } from "./secrets.ts";
import { isSelfSigned } from "./tls/identity.ts";

const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"].map((t) => parsePrefix(t)!);

const limits = {
  descriptors:
    "the open-descriptor limit: a higher one (ulimit -n)\nmakes room for more. Each takes a descriptor for each relay address family",
  ports: "relay-ports",
  quota: "the option allocations",
};

/** How to call the command line: in a checkout there is none on the PATH. */
const command = import.meta.filename.endsWith(".ts") ? "npm run -s postern --" : "postern";

export function greeting(daemon: Daemon, version: string): string {
  return [listening(daemon, version), paste(daemon), phones(daemon), room(daemon), warnings(daemon), next(daemon)]
    .filter((part) => part !== "")
    .join("\n\n");
}

function listening({ config, plan }: Daemon, version: string): string {
  return [
    `Postern ${version} is serving, realm "${config.realm}":`,
    ...allUris(config, plan).map((u) => `  ${u}`),
  ].join("\n");
}

function paste(daemon: Daemon): string {
  const { credentialLifetime } = daemon.config;
  const made = daemon.makeCredentials(undefined, credentialLifetime);
  if (made === undefined) return `Only users are let in: create one with ${command} user add NAME`;
  const until = new Date(made.expiry * 1000).toISOString().replace(".000", "");
  return [
    `For a WebRTC application, good for ${formatDuration(credentialLifetime)} (until ${until}):`,
    "",
    iceServersBlock(daemon.iceUris, made),
  ].join("\n");
}

/** What is put into a telephone's settings. */
function phones({ config, plan }: Daemon): string {
  const { sipDomain, sipPort, sipsPort, serverName } = config;
  if (sipDomain === undefined) return "";
  const addresses = outsideAddresses(plan);
  const best = addresses.find(({ family }) => family === 4) ?? addresses[0];
  const server = serverName ?? (best && formatIp(best)) ?? sipDomain;
  const ways = [
    ...(sipPort === undefined ? [] : [`${sipPort} (UDP or TCP)`]),
    ...(sipsPort === undefined ? [] : [`${sipsPort} (TLS)`]),
  ];
  return [
    `Telephones: create a user with ${command} user add NAME --sip, and set in the phone`,
    `  user NAME, its password, domain ${sipDomain}`,
    ...(server === sipDomain ? [] : [`  server (outbound proxy) ${server}`]),
    `  port ${ways.join(" or ")}`,
  ].join("\n");
}

function room({ capacity, shards }: Daemon): string {
  const { allocations, limitedBy } = capacity;
  const found = `Room for ${allocations.toLocaleString("en")} allocations, limited by ${limits[limitedBy]}.`;
  if (shards.length === 0) return found;
  const onStreams = shards.filter(({ name }) => name === "streams").length;
  const more = onStreams === 0 ? "" : ", one more TCP and TLS";
  return `${found}\n${shards.length - onStreams} threads serve UDP${more}.`;
}

function warnings({ config, plan, certificateFlaw }: Daemon): string {
  const found: string[] = certificateFlaw === undefined ? [] : [`Warning: ${certificateFlaw}`];
  const whoRefuses = isSelfSigned(config) ? refusing(config) : "";
  if (whoRefuses !== "") {
    found.push(`Warning: TLS shows a self-signed certificate, which ${whoRefuses} refuse: set tls-cert and tls-key.`);
  }
  const advertised = plan.relays.map((relay) => relay.advertised);
  const near = advertised.filter((a) => isLoopback(a) || privateRanges.some((range) => prefixContains(range, a)));
  if (advertised.length > 0 && near.length === advertised.length) {
    const first = formatIp(advertised[0]!);
    found.push(
      `Warning: ${first} cannot be reached from the Internet: behind a NAT, set external-address to its outside.`,
    );
  }
  return found.join("\n");
}

/** Who asks for a certificate that somebody vouches for: "" where nothing is served over TLS. */
function refusing({ tlsPort, sipDomain, sipsPort }: Config): string {
  const browsers = tlsPort === undefined ? [] : ["browsers"];
  const phones = sipDomain === undefined || sipsPort === undefined ? [] : ["most telephones"];
  return [...browsers, ...phones].join(" and ");
}

function next({ config }: Daemon): string {
  const lines = ["Next:"];
  if (config.auth !== "users")
    lines.push(`  ${command} credentials     prints a fresh block (with the options that this was started with)`);
  if (config.auth !== "shared-secret") lines.push(`  ${command} user add NAME   lets a user in by name and password`);
  if (config.httpListen !== undefined) {
    const base = `http://${formatAddress(config.httpListen)}`;
    lines.push(`  ${base}/credentials gives blocks to your application, which sends`);
    lines.push(
      `  Authorization: Bearer and the token in ${httpTokenFile(config)}; /healthz and /metrics are there too`,
    );
  }
  return lines.join("\n");
}
