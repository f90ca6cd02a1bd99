/** What a WebRTC application is told about this server. */
import { type Address, formatIp } from "../core/base/address.ts";
import type { TimeLimitedCredentials } from "./time-limited-credentials.ts";

export interface ServedAt {
  readonly transport: "udp" | "tcp" | "tls";
  /** Of this only the family matters where there is a server name. */
  readonly address: Readonly<Address>;
}

const defaultPorts = { stun: 3478, turn: 3478, turns: 5349 } as const;

function hostPart(address: Readonly<Address>): string {
  return address.family === 6 ? `[${formatIp(address)}]` : formatIp(address);
}

function uri(scheme: keyof typeof defaultPorts, host: string, port: number, query: string): string {
  return `${scheme}:${host}${port === defaultPorts[scheme] ? "" : `:${port}`}${query}`;
}

/** `stun:`, `turn:` and `turns:` URIs (RFC 7064, RFC 7065), the cheapest transport first, each once. */
export function serverUris(served: readonly ServedAt[], serverName: string | undefined): string[] {
  const of = (transport: ServedAt["transport"]) =>
    served
      .filter((one) => one.transport === transport)
      .map(({ address }) => ({ host: serverName ?? hostPart(address), port: address.port }));
  const all = [
    ...of("udp").map(({ host, port }) => uri("stun", host, port, "")),
    ...of("udp").map(({ host, port }) => uri("turn", host, port, "")),
    ...of("tcp").map(({ host, port }) => uri("turn", host, port, "?transport=tcp")),
    ...of("tls").map(({ host, port }) => uri("turns", host, port, "?transport=tcp")),
  ];
  return [...new Set(all)];
}

/** JavaScript to paste into an application. */
export function iceServersBlock(urls: readonly string[], { username, credential }: TimeLimitedCredentials): string {
  return [
    "const iceServers = [",
    "  {",
    "    urls: [",
    ...urls.map((url) => `      ${JSON.stringify(url)},`),
    "    ],",
    `    username: ${JSON.stringify(username)},`,
    `    credential: ${JSON.stringify(credential)},`,
    "  },",
    "];",
  ].join("\n");
}
