/**
 * The one schema. The YAML file, the environment, the flags and docs/configuration.md all come from this table, so an
 * option that is here is everywhere, under one name: `relayPorts` is `relay-ports`, `POSTERN_RELAY_PORTS` and
 * `--relay-ports`. Defaults are the safe ones, and descriptions say why.
 */
import { isAbsolute } from "node:path";
import { parseIp } from "../../core/base/address.ts";
import { encodeUtf8 } from "../../core/base/utf8.ts";
import { opaqueString } from "../../core/stun/opaque-string.ts";
import { isInterfaceName } from "../../node/sys/interface-name.ts";
import { address, endpoint, externalAddress, hostName, prefix, sipDomain } from "./address-kinds.ts";
import type { Config } from "./config.ts";
import {
  byteCount,
  choice,
  count,
  duration,
  hidden,
  type Kind,
  list,
  optional,
  orAuto,
  orOff,
  path,
  port,
  portSpan,
  scalar,
  toggle,
} from "./kinds.ts";
import { parseSharedSecret, sharedSecretRule } from "./shared-secret-text.ts";
import { site } from "./site-text.ts";
import { BETWEEN_TRUNKS, trunk } from "./trunk-text.ts";

export const groups = ["General", "Listening", "Credentials", "Relaying", "SIP", "Peers", "Limits", "HTTP"] as const;
export type Group = (typeof groups)[number];

export interface Option<T> {
  readonly group: Group;
  readonly kind: Kind<T>;
  /** Undefined for what is worked out at start, or is not set; `fallbackText` then says what that means. */
  readonly fallback: T;
  readonly fallbackText?: string;
  readonly description: string;
  /** Taken over by a reload; else a change needs a restart. */
  readonly reloads?: boolean;
}

/** A challenge carries the realm to senders that may be spoofed, so it stays small. */
const maxRealmBytes = 32;

function realm(): Kind<string> {
  return scalar("TEXT", `text of at most ${maxRealmBytes} bytes without control characters`, (text) => {
    const prepared = opaqueString(text);
    return prepared !== undefined && encodeUtf8(prepared).length <= maxRealmBytes ? prepared : undefined;
  });
}

function software(): Kind<string> {
  const read = (text: string) => (/^[ -~]{1,64}$/.test(text) ? text : undefined);
  return scalar("TEXT", "at most 64 characters of ASCII", read);
}

function interfaceName(): Kind<string> {
  return scalar("INTERFACE", "the name of an interface", (text) => (isInterfaceName(text) ? text : undefined));
}

/** A path, or what `postern helper` gives a daemon that it starts. */
function helperPlace(): Kind<string> {
  return scalar("PATH", "the path at which postern helper listens", (text) =>
    isAbsolute(text) || /^fd:\d+$/.test(text) ? text : undefined,
  );
}

const minute = 60;
const hour = 3_600;
const day = 86_400;

export const options: { readonly [K in keyof Config]: Option<Config[K]> } = {
  dataDir: {
    group: "General",
    kind: { ...path(), form: "DIRECTORY" },
    fallback: "",
    fallbackText:
      "`$STATE_DIRECTORY` where systemd sets it, else `$XDG_DATA_HOME/postern`, else `~/.local/share/postern`",
    description:
      "Where Postern keeps what it makes: its secrets, its certificate and the users. Created with mode 700; secret files have mode 600.",
  },
  logLevel: {
    group: "General",
    kind: choice("trace", "debug", "info", "warn", "error"),
    fallback: "info",
    description:
      "The least important lines that are logged. Addresses and user names appear at debug and below, so that ordinary logs hold no personal data.",
    reloads: true,
  },
  logFormat: {
    group: "General",
    kind: choice("auto", "pretty", "json"),
    fallback: "auto",
    description: "How log lines look on standard error: auto is pretty on a terminal and JSON elsewhere.",
  },
  greeting: {
    group: "General",
    kind: toggle(),
    fallback: true,
    description:
      "Print where the server listens and a ready iceServers block at start. Switch it off where output is kept by others: the block holds a credential.",
  },
  drainDeadline: {
    group: "General",
    kind: duration(0, day),
    fallback: 30,
    description:
      "How long SIGTERM waits for sessions to end by themselves while new ones are refused. A second signal ends at once.",
    reloads: true,
  },
  datapath: {
    group: "General",
    kind: choice("auto", "mmsg", "dgram"),
    fallback: "auto",
    description:
      "What moves UDP packets: mmsg is batched system calls, on Linux alone, for about half the CPU time a packet; dgram is Node's own sockets, which work everywhere; auto is mmsg where it can be had, and the log says once where it cannot. With mmsg, a server that cannot have it does not start.",
  },
  offload: {
    group: "General",
    kind: choice("off", "auto"),
    fallback: "off",
    description:
      "Whether the kernel forwards what goes over channels, and the sound of calls, by itself, so that Postern does not see those packets. It takes Linux 5.19, a helper that has the privilege (offload-helper), and Ethernet interfaces; where something of that is missing, auto says once in the log what, and everything goes on without. Packets that are forwarded pass the host's firewall by; what the host translates stays in user space.",
  },
  offloadHelper: {
    group: "General",
    kind: optional(helperPlace()),
    fallback: undefined,
    fallbackText: "none: Postern has the privilege itself, or goes without offload",
    description:
      "Where `postern helper`, which alone has the privilege to load programs into the kernel, listens for the daemon. When it is started again, it is found again. `postern helper -- serve` sets this by itself.",
  },
  offloadInterfaces: {
    group: "General",
    kind: list(interfaceName()),
    fallback: [],
    fallbackText: "those that routes name",
    description:
      "Between which interfaces the kernel may forward, by name. A flow that leaves by another stays in user space. Name them where packets come in by another interface than they leave by, or to keep offload off one.",
  },
  shards: {
    group: "General",
    kind: orAuto(count(1, 64)),
    fallback: 1,
    description:
      "How many threads, 2 to 64, serve UDP clients, each with its part of them and of relay-ports. With 1 everything is in one thread. From 2 on another thread serves TCP and TLS, where they are on; a thread that fails takes its own sessions with it, is started again, and the others notice nothing. auto is as many as there are processors, 8 at most. Needs Linux and the datapath mmsg.",
  },
  wakeDelay: {
    group: "General",
    kind: count(0, 1_000),
    fallback: 250,
    description:
      "How many microseconds a UDP packet may wait so that several are served at once, which halves the CPU time of each. Only under load (from two packets in that time on), and only with the mmsg datapath; 0 never waits.",
  },

  listen: {
    group: "Listening",
    kind: list(address()),
    fallback: [],
    fallbackText: "every address of the host, followed as they come and go",
    description:
      "The addresses at which clients are served. Each gets sockets of its own, never a wildcard, because a wildcard socket cannot tell to which address a packet came.",
  },
  udpPort: {
    group: "Listening",
    kind: orOff(port()),
    fallback: 3478,
    description: "The port for STUN and TURN over UDP.",
  },
  tcpPort: {
    group: "Listening",
    kind: orOff(port()),
    fallback: 3478,
    description: "The port for STUN and TURN over TCP.",
  },
  tlsPort: {
    group: "Listening",
    kind: orOff(port()),
    fallback: 5349,
    description: "The port for STUN and TURN over TLS. 443 passes the most firewalls, and needs CAP_NET_BIND_SERVICE.",
  },
  natDiscovery: {
    group: "Listening",
    kind: choice("off", "auto"),
    fallback: "off",
    description:
      "Let clients find out how their NAT behaves (RFC 5780, as `postern check` does). Needs two addresses of one family: the first two of listen, else the first two public ones of the host. Off by default, because answers then leave by another socket than the one that was asked.",
  },
  alternatePort: {
    group: "Listening",
    kind: port(),
    fallback: 3479,
    description: "The second port of nat-discovery, for UDP and TCP. It is opened only with nat-discovery: auto.",
  },
  tlsCert: {
    group: "Listening",
    kind: optional(path()),
    fallback: undefined,
    fallbackText: "a self-signed certificate, made once in the data directory: good for tests, refused by browsers",
    description: "The certificate for TLS in PEM, followed by its intermediates. Read again when the file changes.",
    reloads: true,
  },
  tlsKey: {
    group: "Listening",
    kind: optional(path()),
    fallback: undefined,
    fallbackText: "the key of the self-signed certificate",
    description: "The private key of tls-cert in PEM. Only its owner may read the file.",
    reloads: true,
  },
  serverName: {
    group: "Listening",
    kind: optional(hostName()),
    fallback: undefined,
    fallbackText: "addresses are told instead of a name",
    description:
      "The name under which clients reach this server. It is told in iceServers; for TLS the certificate must hold it.",
    reloads: true,
  },
  streamConnections: {
    group: "Listening",
    kind: count(1, 1_000_000),
    fallback: 10_000,
    description: "TCP and TLS connections at once. Each costs a descriptor and memory before anybody is authenticated.",
  },
  streamConnectionsPerSource: {
    group: "Listening",
    kind: count(1, 1_000_000),
    fallback: 256,
    description:
      "TCP and TLS connections at once from one IPv4 address or IPv6 /56, so that one source cannot take them all.",
  },

  realm: {
    group: "Credentials",
    kind: realm(),
    fallback: "postern",
    description:
      "The realm of the server, at most 32 bytes so that a challenge to a spoofed sender stays small. Users' keys hold it: after a change their passwords must be set again, and `postern user list` says whose.",
  },
  auth: {
    group: "Credentials",
    kind: choice("both", "shared-secret", "users"),
    fallback: "both",
    description:
      "Who is let in: users of `postern user`, holders of time-limited credentials made with a shared secret, or both. Nobody is let in without credentials.",
  },
  sharedSecrets: {
    group: "Credentials",
    kind: list(hidden("[sha256:]SECRET", sharedSecretRule, parseSharedSecret), { separator: "" }),
    fallback: [],
    fallbackText: "none; see shared-secret-files",
    description:
      "Secrets shared with the applications that hand out time-limited credentials. The first one makes them, all are accepted. As a flag a secret can be seen by everybody on the machine: prefer shared-secret-files. A configuration file with secrets in it must not be readable by everybody.",
    reloads: true,
  },
  sharedSecretFiles: {
    group: "Credentials",
    kind: list(path()),
    fallback: [],
    fallbackText: "`shared-secret` in the data directory, made once, unless shared-secrets is given",
    description:
      "Files with shared secrets, one a line, each with `sha256:` in front when passwords are made with HMAC-SHA-256. Read again when they change: to rotate, put the new secret first, and remove the old one when its credentials have run out; sessions made with a removed secret end.",
    reloads: true,
  },
  credentialLifetime: {
    group: "Credentials",
    kind: duration(minute, 365 * day),
    fallback: day,
    description:
      "How long a credential that Postern hands out is good for, and the longest that may be asked for over HTTP.",
  },
  sessionBeyondExpiry: {
    group: "Credentials",
    kind: duration(0, 30 * day),
    fallback: 12 * hour,
    description:
      "How long a session may outlive its time-limited credential, so that a running call is not cut off. 0 ends it with the credential.",
  },
  nonceLifetime: {
    group: "Credentials",
    kind: duration(minute, day),
    fallback: hour,
    description: "How long a client may use a nonce before it is given a new one. A shorter time limits replay.",
  },
  usernameAnonymity: {
    group: "Credentials",
    kind: toggle(),
    fallback: false,
    description:
      "Let clients send a hash of their user name instead of the name (RFC 8489, USERHASH). Needs auth: users, because names with a time limit cannot be enumerated.",
  },

  relayAddresses: {
    group: "Relaying",
    kind: list(address()),
    fallback: [],
    fallbackText:
      "the host's own addresses, the one with the default route first; loopback only where there is no other",
    description: "The addresses at which relayed transport addresses are opened, in order of preference.",
  },
  relayPorts: {
    group: "Relaying",
    kind: portSpan(),
    fallback: { min: 49_152, max: 65_535 },
    description: "The ports of relayed transport addresses, inclusive. A firewall has to let UDP through to them.",
  },
  externalAddress: {
    group: "Relaying",
    kind: list(externalAddress()),
    fallback: [],
    fallbackText: "none: what is told is what is bound",
    description:
      "What clients and peers are told instead of the host's own address: the outside of a 1:1 NAT, as clouds have. One for each family, or pairs `bound=advertised`. A host name is looked up again and again.",
    reloads: true,
  },
  externalAddressInterval: {
    group: "Relaying",
    kind: duration(1, day),
    fallback: minute,
    description: "How often host names in external-address are looked up.",
  },
  allocationLifetime: {
    group: "Relaying",
    kind: duration(1, 30 * day),
    fallback: 10 * minute,
    description: "The lifetime of an allocation whose client asks for none or a shorter one (RFC 8656: 10 minutes).",
  },
  maxAllocationLifetime: {
    group: "Relaying",
    kind: duration(1, 30 * day),
    fallback: hour,
    description: "The longest lifetime that a client is given before it has to refresh.",
  },
  channelRange: {
    group: "Relaying",
    kind: choice("rfc8656", "rfc5766"),
    fallback: "rfc8656",
    description: "Channel numbers: 0x4000 to 0x4FFF, or for clients of the older standard to 0x7FFF.",
  },
  alternateServers: {
    group: "Relaying",
    kind: list(endpoint()),
    fallback: [],
    fallbackText: "none: clients are served here",
    description:
      "Where clients are sent instead of being served here (RFC 8489, ALTERNATE-SERVER): one for each family.",
  },
  software: {
    group: "Relaying",
    kind: optional(software()),
    fallback: undefined,
    fallbackText: "none",
    description:
      "The name told in answers to authenticated requests. None by default: it helps attackers more than clients, and makes answers larger.",
  },

  sipDomain: {
    group: "SIP",
    kind: optional(sipDomain()),
    fallback: undefined,
    fallbackText: "SIP is off",
    description:
      "The domain whose users have phones here: alice is reached as `sip:alice@` and this. Setting it is all that starts the SIP server. It is the realm of their passwords too, so after a change they must be set again.",
  },
  sipPort: {
    group: "SIP",
    kind: orOff(port()),
    fallback: 5060,
    description: "The port for SIP over UDP and TCP, opened where sip-domain is set.",
  },
  sipsPort: {
    group: "SIP",
    kind: orOff(port()),
    fallback: 5061,
    description: "The port for SIP over TLS, opened where sip-domain is set. It shows the certificate of tls-cert.",
  },
  mediaPorts: {
    group: "SIP",
    kind: portSpan(),
    fallback: { min: 16_384, max: 32_767 },
    description:
      "The UDP ports through which calls' sound and pictures are relayed, four for an ordinary call. A firewall has to let UDP through to them.",
  },
  sipDigest: {
    group: "SIP",
    kind: choice("md5", "both", "sha-256"),
    fallback: "md5",
    description:
      "The hash by which phones prove their passwords. Many phones that know MD5 alone, baresip 1 among them, give up when they are offered SHA-256 beside it; where all of yours know it, both or sha-256 is the better choice. Over TLS neither is seen by others.",
  },
  sipMedia: {
    group: "SIP",
    kind: choice("anchored", "direct"),
    fallback: "anchored",
    description:
      "Where calls go once they are answered. anchored: signaling and media go through the server, so that NATs do not matter and the end of a call is seen; phones that both speak ICE still find a direct way for their media. direct: calls between phones without NATs are left to these, and their record says `end not observed`; where a NAT is seen, and through trunks, they are anchored all the same.",
  },
  sipSites: {
    group: "SIP",
    kind: list(site(), { separator: ";" }),
    fallback: [],
    fallbackText: "none",
    description:
      "Networks whose phones reach each other without the server, so that media between them is not relayed, one a line: a name and then `hosts=` with their prefixes, and `behind=` with the public addresses of their own NAT where the server is outside of it. Never name an address there that is shared with others, as behind a carrier's NAT. Separated by semicolons in the environment.",
  },
  sipTrunks: {
    group: "SIP",
    kind: list(trunk(), { separator: BETWEEN_TRUNKS }),
    fallback: [],
    fallbackText: "none: users call each other",
    description:
      "Providers and other servers that are known by their addresses, or by those that their name stands for, and need no password, one a line: a name and then `from=` where their calls come from besides the servers that a name in `to=` stands for, `media=` where their sound may come from besides what they say (the addresses of `from` and `to`, unless given), `to=` where calls to them go (an IP address or a name, behind `udp:`, `tcp:` or `tls:` and with a port if you like; or a SIP URI), `host=` their name where `to=` has none, `prefixes=` what numbers begin with that are dialed through them, `users=` who may (these two may be `all`), `calls=` how many calls it may have at once, both ways together, 500 unless said. Separated by semicolons in the environment.",
  },
  sipCallsPerUser: {
    group: "SIP",
    kind: count(1, 10_000),
    fallback: 20,
    description:
      "Calls at once that one user may have placed, from all phones together: a stolen password is worth no more. A small exchange that registers like a phone may need more.",
  },

  allowPeers: {
    group: "Peers",
    kind: list(prefix()),
    fallback: [],
    fallbackText: "none",
    description:
      "Peers that may be reached although they are in a special-purpose range or denied: private networks, say. The host's own addresses must be named one by one, but for loopback: any range inside 127.0.0.0/8 opens it.",
  },
  denyPeers: {
    group: "Peers",
    kind: list(prefix()),
    fallback: [],
    fallbackText: "none beyond the special-purpose ranges",
    description:
      "More peers that may not be reached. Private, loopback, link-local, multicast and all other special-purpose ranges are denied already, so that nobody reaches into your network through the relay.",
  },
  peerPorts: {
    group: "Peers",
    kind: optional(portSpan()),
    fallback: undefined,
    fallbackText: "all",
    description: "The ports of peers that may be reached. 1024-65535 keeps clients away from well-known services.",
  },

  allocations: {
    group: "Limits",
    kind: count(1, 1_000_000),
    fallback: 20_000,
    description: "Allocations at once. The descriptors that the process may open can be a lower limit; start-up tells.",
  },
  allocationsPerUser: {
    group: "Limits",
    kind: count(1, 1_000_000),
    fallback: 100,
    description:
      "Allocations at once of one user: enough for a device with many interfaces in several calls, too few to take the server. For time-limited names the user is what follows the colon.",
  },
  allocationsPerSource: {
    group: "Limits",
    kind: count(1, 1_000_000),
    fallback: 500,
    description: "Allocations at once from one IPv4 address or IPv6 /56. An office behind one address may need more.",
  },
  permissions: {
    group: "Limits",
    kind: count(1, 100_000),
    fallback: 128,
    description: "Permissions of one allocation.",
  },
  channels: {
    group: "Limits",
    kind: count(1, 4_096),
    fallback: 128,
    description: "Channels of one allocation.",
  },
  newPeersPerSecond: {
    group: "Limits",
    kind: count(1, 100_000),
    fallback: 32,
    description: "New peers of one allocation in a second, so that nobody scans a network through the relay.",
  },
  bytesPerSecond: {
    group: "Limits",
    kind: byteCount(1e12),
    fallback: 12_500_000,
    description:
      "Relayed bytes of one allocation, direction and second; 0 for no limit. 12500k is 100 Mbit/s: more than a video call needs, less than a server's line.",
  },
  unauthenticatedPerSecond: {
    group: "Limits",
    kind: count(1, 1_000_000),
    fallback: 100,
    description:
      "Answers in a second to one source that has not proven its address: what a victim of spoofing receives at most. Beyond it there is silence and never a ban.",
  },
  requestsPerSecond: {
    group: "Limits",
    kind: count(1, 1_000_000),
    fallback: 500,
    description: "Requests in a second from one source that has proven its address.",
  },

  httpListen: {
    group: "HTTP",
    kind: orOff(endpoint()),
    fallback: Object.assign(parseIp("127.0.0.1") ?? {}, { port: 3480 }) as Config["httpListen"],
    description: "Where /healthz, /metrics and /credentials are served. On loopback unless http-allow-remote is set.",
  },
  httpAllowRemote: {
    group: "HTTP",
    kind: toggle(),
    fallback: false,
    description:
      "Allow http-listen to be an address that other machines reach. There is no TLS: put a proxy in front. /metrics then needs the token too.",
  },
  httpTokenFile: {
    group: "HTTP",
    kind: optional(path()),
    fallback: undefined,
    fallbackText: "`http-token` in the data directory, made once",
    description: "A file with the bearer token of /credentials, 16 characters or more. Only its owner may read it.",
    reloads: true,
  },
};
