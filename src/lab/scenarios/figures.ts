/** The five drawings of a call between two softphones: the same call each time, with a little more help. */
import { call } from "../call.ts";
import { checkScreen, lineOf } from "../check.ts";
import { allocate, bindPeer, openSocket, openSocketAndAsk, relayId, socketId } from "../ends.ts";
import type { Lab } from "../lab.ts";
import type { NatName } from "../nats.ts";
import type { Outcome, Scenario } from "../scenario.ts";
import { Server } from "../server.ts";
import type { SiteDeclaration } from "../topology.ts";

function site(name: string, nat: NatName, ...hosts: string[]): SiteDeclaration {
  return { name, hosts, gateways: [{ nat }] };
}

/** Before the call, so that the picture shows the call alone. */
async function checkFirst(lab: Lab, server: Server): Promise<string> {
  const screen = await checkScreen(lab, "alice", `stun:${server.address}`);
  await lab.forget();
  return screen;
}

export const figure1: Scenario = {
  name: "figure 1",
  title: "Two phones on one network call each other at their own addresses, without STUN or TURN.",
  topology: { outside: [], sites: [site("home", "port-restricted cone", "alice", "bob")] },
  expected: "works",
  run: async (lab) => {
    const [alice, bob] = [await openSocket(lab, "alice"), await openSocket(lab, "bob")];
    return call(lab, { host: "alice", id: socketId, toward: bob }, { host: "bob", id: socketId, toward: alice });
  },
};

export const figure2: Scenario = {
  name: "figure 2",
  title: "Alice is behind a NAT, and tells Bob on the internet the address that her phone has.",
  topology: { outside: ["server", "bob"], sites: [site("home", "port-restricted cone", "alice")] },
  expected: "fails",
  run: async (lab) => {
    const screen = await checkFirst(lab, await Server.start(lab));
    const [alice, bob] = [await openSocket(lab, "alice"), await openSocket(lab, "bob")];
    const explain =
      `Bob was told ${alice}, which is an address inside Alice's network. From outside she is at ` +
      `${lineOf(screen, "address").split(",")[0]}, behind a ${lineOf(screen, "kind")}: STUN needed`;
    const outcome = await call(
      lab,
      { host: "alice", id: socketId, toward: bob },
      { host: "bob", id: socketId, toward: alice },
      explain,
    );
    return { ...outcome, screen };
  },
};

/** Alice asks a STUN server, and tells Bob, who is on the internet, what it saw. */
export async function callWithStun(lab: Lab, server: Server): Promise<Outcome> {
  const [alice, bob] = [await openSocketAndAsk(lab, "alice", server), await openSocket(lab, "bob")];
  return call(lab, { host: "alice", id: socketId, toward: bob }, { host: "bob", id: socketId, toward: alice });
}

export function figure3(nat: NatName = "port-restricted cone"): Scenario {
  return {
    name: "figure 3",
    title: "Alice is behind a NAT, and tells Bob on the internet the address that a STUN server saw.",
    topology: { outside: ["server", "bob"], sites: [site("home", nat, "alice")] },
    expected: "works",
    run: async (lab) => callWithStun(lab, await Server.start(lab)),
  };
}

const twoHomes = {
  outside: ["server"],
  sites: [site("home", "symmetric, random", "alice"), site("office", "port-restricted cone", "bob")],
};

/** Where packets from Alice's router really come from, as Bob's sees them. */
async function seenFrom(lab: Lab, told: string): Promise<string[]> {
  const passages = (await lab.passages()).get("office router") ?? [];
  const router = told.split(":")[0] as string;
  const arrived = passages.filter(({ direction, source }) => direction === "arrived" && source.startsWith(router));
  return [...new Set(arrived.map(({ source }) => source))];
}

export const figure4: Scenario = {
  name: "figure 4",
  title: "Alice is behind a symmetric NAT, Bob behind a port-restricted cone, and both know what a STUN server saw.",
  topology: twoHomes,
  expected: "fails",
  run: async (lab) => {
    const server = await Server.start(lab);
    const screen = await checkFirst(lab, server);
    const alice = await openSocketAndAsk(lab, "alice", server);
    const bob = await openSocketAndAsk(lab, "bob", server);
    const { outcome, why } = await call(
      lab,
      { host: "alice", id: socketId, toward: bob },
      { host: "bob", id: socketId, toward: alice },
    );
    const really = (await seenFrom(lab, alice)).join(", ");
    const explained = `${lineOf(screen, "kind")}: TURN needed. Bob was told ${alice}, and Alice's packets come from ${really}`;
    return { outcome, why: outcome === "fails" ? `${why}: ${explained}` : why, screen };
  },
};

export const figure5: Scenario = {
  name: "figure 5",
  title: "The same two, and Alice has a relayed address from a TURN server.",
  topology: twoHomes,
  expected: "works",
  run: async (lab) => {
    const server = await Server.start(lab);
    const { relayed: alice } = await allocate(lab, "alice", server.turn());
    const bob = await openSocketAndAsk(lab, "bob", server);
    await bindPeer(lab, "alice", bob);
    return call(lab, { host: "alice", id: relayId, toward: bob }, { host: "bob", id: socketId, toward: alice });
  },
};

export const figures: readonly Scenario[] = [figure1, figure2, figure3(), figure4, figure5];
