/** What the tests of ICE with others' agents share: the agent as they meet it, how it is told of ours, and the relays. */
import type { IceRole } from "../../src/core/ice/config.ts";
import type { IceConnection } from "../../src/node/ice/ice-connection.ts";
import type { IceServer } from "../../src/node/ice/options.ts";
import { startCoturn } from "../support/coturn.ts";
import { requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";

export type Policy = "all" | "relay";
export const roles = ["controlling", "controlled"] as const;
export const tellings = [false, true] as const;
/** Ours, and the peer's, where a relay has to be used. */
export const relayPolicies = [
  ["relay", "all"],
  ["all", "relay"],
  ["relay", "relay"],
] as const;

export function opposite(role: IceRole): IceRole {
  return role === "controlling" ? "controlled" : "controlling";
}

export function telling(trickle: boolean): string {
  return trickle ? "candidates one by one" : "whole descriptions";
}

export interface IcePeer {
  /** Takes a description of ours, whole or in part. */
  describe(text: string): void | Promise<void>;
  /** Not before `describe`. */
  candidate(line: string): void;
  /** Its own; `whole`: with all candidates. */
  description(options: { whole: boolean }): Promise<string>;
  /** Tells candidates as they come, and `end-of-candidates`; resolves when there are no more. */
  eachCandidate(tell: (line: string) => void): Promise<void>;
}

export async function introduce(ours: IceConnection, peer: IcePeer, trickle: boolean): Promise<void> {
  if (!trickle) {
    await peer.describe(await ours.localDescription());
    return ours.setRemoteDescription(await peer.description({ whole: true }));
  }
  const early: string[] = [];
  ours.onCandidate = (line) => early.push(line);
  await peer.describe(await ours.localDescription({ trickle: true }));
  for (const line of early) peer.candidate(line);
  ours.onCandidate = (line) => peer.candidate(line);
  ours.setRemoteDescription(await peer.description({ whole: false }));
  await peer.eachCandidate((line) => ours.addRemoteCandidate(line));
}

/** RFC 8839 §5.4: the credentials in a description. */
export function credentialsIn(text: string): { ufrag: string; password: string } {
  const value = (name: string): string => new RegExp(`^a=${name}:(.*?)\r?$`, "m").exec(text)?.[1] ?? "";
  return { ufrag: value("ice-ufrag"), password: value("ice-pwd") };
}

/** The candidates in a description, each as a line by itself, and `end-of-candidates`. */
export function candidatesIn(text: string): string[] {
  return [...text.matchAll(/^a=(candidate:.*?|end-of-candidates)\r?$/gm)].map(([, line]) => line as string);
}

/** RFC 8122 §5: of no certificate. */
const fingerprint = `sha-256 ${Array.from({ length: 32 }, () => "AB").join(":")}`;

/** Around our lines of ICE, the section of a data channel (RFC 8841). `setup`: who begins the DTLS handshake. */
export function sessionAround(ice: string, setup: "actpass" | "active" | "passive"): string {
  return [
    ...["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"],
    ...["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:0", "a=sctp-port:5000"],
    ...[`a=fingerprint:${fingerprint}`, `a=setup:${setup}`],
    ice,
  ]
    .map((line) => line.replace(/(\r\n)?$/, "\r\n"))
    .join("");
}

export const user = { name: "alice", password: "wonderland" };
/** An address of its own: a relay does not send to its own host's. */
export const relayAddress = "127.0.0.3";

/** A TURN server over UDP, by its port. */
export function iceServers(port: number): IceServer[] {
  return [{ urls: `turn:${relayAddress}:${port}?transport=udp`, username: user.name, credential: user.password }];
}

/** The TURN servers, and why one is left out. */
export const relays: readonly { name: string; skip: () => string | false; start: StartRelay }[] = [
  { name: "Postern", skip: () => false, start: (peers) => startAt(startPostern, peers) },
  { name: "coturn", skip: () => requirePeer("turnserver"), start: (peers) => startAt(startCoturn, peers) },
];

/** `allowPeers`: prefixes of the addresses that it relays to; loopback when not given. */
type StartRelay = (allowPeers?: readonly string[]) => Promise<RunningRelay>;

export interface RunningRelay {
  readonly port: number;
  stop(): Promise<void>;
}

async function startAt(start: typeof startPostern, allowPeers = ["127.0.0.0/8"] as readonly string[]) {
  const port = await freePort();
  const relayPorts = await freePortRange(64);
  const relay = await start({ port, user, relayPorts, addresses: [relayAddress], allowPeers });
  return { port, stop: () => relay.stop() };
}
