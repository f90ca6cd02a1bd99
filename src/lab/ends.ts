/** The ends of a call, and what each can tell the other of where it is. */
import type { Lab } from "./lab.ts";
import type { Server, TurnLogin } from "./server.ts";

/** The one socket that a host of a scenario speaks with. */
export const socketId = "socket";
/** And its allocation. */
export const relayId = "relay";

/** Opens the host's socket; resolves with its own address, as the host knows it. */
export async function openSocket(lab: Lab, host: string): Promise<string> {
  const agent = await lab.agent(host);
  const local = await agent.tell("open", { id: socketId });
  return local.replace("0.0.0.0", lab.network.addressOf(host));
}

/** What a STUN server sees of that socket. */
export async function askStun(lab: Lab, host: string, server: Server): Promise<string> {
  const agent = await lab.agent(host);
  const mapped = await agent.tell("observe", { id: socketId, server: server.stun });
  if (mapped === "") throw new Error(`no STUN answer for ${host}`);
  return mapped;
}

/** Opens the host's socket, and asks what the server sees of it. */
export async function openSocketAndAsk(lab: Lab, host: string, server: Server): Promise<string> {
  await openSocket(lab, host);
  return askStun(lab, host, server);
}

export interface AllocateOptions {
  readonly id?: string;
  /** The URL of an HTTP proxy. */
  readonly proxy?: string | undefined;
  /** Milliseconds. */
  readonly within?: number;
}

export interface Allocated {
  readonly relayed: string;
  /** The client's own address, as the server sees it. */
  readonly mapped: string;
}

export async function allocate(
  lab: Lab,
  host: string,
  login: TurnLogin,
  { id = relayId, ...rest }: AllocateOptions = {},
): Promise<Allocated> {
  const agent = await lab.agent(host);
  const [relayed, mapped] = await agent.tell("allocate", { id, ...login, ...rest });
  return { relayed: relayed as string, mapped: mapped as string };
}

/** Lets a peer in through the host's allocation. */
export async function bindPeer(lab: Lab, host: string, peer: string, id: string = relayId): Promise<void> {
  const agent = await lab.agent(host);
  await agent.tell("bind", { id, peer });
}

/** Opens a socket that sends back what comes; resolves with its address. */
export async function openEcho(lab: Lab, host: string): Promise<string> {
  const address = await openSocket(lab, host);
  const agent = await lab.agent(host);
  await agent.tell("echo", { id: socketId });
  return address;
}
