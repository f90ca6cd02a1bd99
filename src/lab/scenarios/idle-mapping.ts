/** A NAT forgets who is silent, and remembers who is not. */
import { openSocket } from "../ends.ts";
import type { Lab } from "../lab.ts";
import type { Scenario } from "../scenario.ts";
import { Server } from "../server.ts";

const timeout = 3;
/** Conntrack counts in whole seconds. */
const idleMs = (timeout + 1.5) * 1_000;
const keepaliveMs = 1_000;

const silent = "silent";
const kept = "kept";

/** Opens a socket toward Bob; resolves with where Bob sends to reach it. */
async function openToward(lab: Lab, id: string, server: Server, bob: string): Promise<string> {
  const alice = await lab.agent("alice");
  await alice.tell("open", { id });
  const mapped = await alice.tell("observe", { id, server: server.stun });
  await alice.tell("send", { id, to: bob, texts: ["hello"] });
  return mapped;
}

/** `every`: how often the one that is kept is kept alive, in milliseconds. */
export function idleScenario(every: number = keepaliveMs): Scenario {
  return {
    name: "idle mapping",
    title: `The NAT forgets after ${timeout} s: Bob calls two sockets of Alice's, one silent and one kept alive.`,
    topology: {
      outside: ["server", "bob"],
      sites: [{ name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone", udpTimeout: timeout }] }],
    },
    expected: "works",
    run: async (lab) => {
      const server = await Server.start(lab);
      const bobsAddress = await openSocket(lab, "bob");
      const [alice, bob] = [await lab.agent("alice"), await lab.agent("bob")];
      const [toSilent, toKept] = [
        await openToward(lab, silent, server, bobsAddress),
        await openToward(lab, kept, server, bobsAddress),
      ];
      const texts = Array.from({ length: Math.ceil(idleMs / every) }, () => "keepalive");
      const keeping = alice.tell("send", { id: kept, to: bobsAddress, texts, every });
      await lab.wait(idleMs);
      for (const to of [toSilent, toKept]) await bob.tell("send", { id: "socket", to, texts: ["ring"] });
      const rung = await Promise.all(
        [kept, silent].map(async (id) => (await alice.hears(id, 1, lab.roundTrip + 500)).length > 0),
      );
      await keeping;
      const [keptRings, silentRings] = rung.map((rings) => (rings ? "rings" : "does not ring"));
      return {
        outcome: rung[0] && !rung[1] ? "works" : "fails",
        why: `after ${idleMs / 1_000} s: the socket that was kept alive ${keptRings}, the silent one ${silentRings}`,
      };
    },
  };
}
