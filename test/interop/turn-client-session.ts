/** A TURN client with two peers, one that it reaches by permission and one on a channel, in the middle of a conversation. */
import type { TurnClientEvent } from "../../src/core/turn/client/outputs.ts";
import type { TurnAllocationOptions } from "../../src/node/turn-client/options.ts";
import { TurnAllocation } from "../../src/node/turn-client/turn-allocation.ts";
import { startPeer, type TurnPeer } from "../support/turn-peers.ts";
import { credentials, echoed, type Relay, type Transport, type Trust } from "./turn-client-relays.ts";

export interface Session extends AsyncDisposable {
  readonly allocation: TurnAllocation;
  readonly events: TurnClientEvent[];
  readonly byPermission: TurnPeer;
  readonly byChannel: TurnPeer;
}

/** Keepalives are frequent, and losses followed by tries that are. */
export async function startSession(
  relay: Relay,
  trust: Trust,
  transport: Transport,
  more: Partial<TurnAllocationOptions> = {},
): Promise<Session> {
  const events: TurnClientEvent[] = [];
  const onEvent = (event: TurnClientEvent): void => void events.push(event);
  const reallocation = { attempts: 100, firstDelay: 100, maxDelay: 200 };
  const usual = { ...credentials, tls: { ca: trust.ca }, onEvent, keepalive: 300, reallocation };
  const allocation = await TurnAllocation.open({ url: relay.url(transport), ...usual, ...more });
  const byPermission = await startPeer({ echo: true });
  const byChannel = await startPeer({ host: "127.0.0.3", echo: true });
  const session: Session = {
    allocation,
    events,
    byPermission,
    byChannel,
    [Symbol.asyncDispose]: async () => {
      await allocation.close();
      byPermission.close();
      byChannel.close();
    },
  };
  try {
    await allocation.permit(byPermission.address);
    await allocation.bind(byChannel.address);
    await converse(session, "before");
    return session;
  } catch (error) {
    // An allocation that is open holds the process.
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

export async function converse({ allocation, byPermission, byChannel }: Session, text: string): Promise<void> {
  await echoed(allocation, byPermission.address, `${text}, by permission`);
  await echoed(allocation, byChannel.address, `${text}, on a channel`);
}
