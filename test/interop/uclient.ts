/** Runs `turnutils_uclient`, coturn's test client, and reads what it says about itself. */
import { runChild } from "../support/child.ts";
import { peerPath } from "../support/peers.ts";

export interface Tally {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly output: string;
}

/** How long each message is, and how many each session sends, in every run. */
export const messageBytes = 160;
export const messages = 15;

export function uclientCommand(server: string, args: readonly string[]): string[] {
  return [
    peerPath("turnutils_uclient") ?? "turnutils_uclient",
    ...["-n", String(messages), "-l", String(messageBytes), "-v"],
    ...args,
    server,
  ];
}

/** Runs a client to its end; rejects when it gives up. */
export async function runUclient(server: string, args: readonly string[], through: readonly string[] = []) {
  return tallyOf(await runChild([...through, ...uclientCommand(server, args)], { within: 60_000 }));
}

/** Reads the last totals; zeros when it did not come so far. */
export function tallyOf(output: string): Tally {
  const totals = [...output.matchAll(/tot_send_bytes ~ (\d+), tot_recv_bytes ~ (\d+)/g)].at(-1);
  return { sentBytes: Number(totals?.[1] ?? 0), receivedBytes: Number(totals?.[2] ?? 0), output };
}

/** Ports of relayed transport addresses, each with the reservation token that came with it (0: none). */
export function relayedPorts({ output }: Tally): { port: number; token: bigint }[] {
  return [...output.matchAll(/Received relay addr: .*:(\d+)\n.*rtv=(\d+)/g)].map(([, port, token]) => ({
    port: Number(port),
    token: BigInt(token!),
  }));
}
