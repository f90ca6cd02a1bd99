/** A router that rewrites addresses inside packets, as the ALGs of some do, does not change what STUN finds. */
import { checkReport } from "../check.ts";
import { openSocketAndAsk, socketId } from "../ends.ts";
import type { Scenario } from "../scenario.ts";
import { Server } from "../server.ts";
import { said } from "./nat.ts";

const router = "home router";

/** `rewritesPayload`: false, to see that the scenario tells. */
export function rewritingScenario(rewritesPayload = true): Scenario {
  return {
    name: "addresses rewritten",
    title: "Alice's router rewrites addresses inside packets: XOR-MAPPED-ADDRESS is out of its reach.",
    topology: {
      outside: ["server"],
      sites: [{ name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone", rewritesPayload }] }],
    },
    expected: "works",
    run: async (lab) => {
      const server = await Server.start(lab);
      const xor = await openSocketAndAsk(lab, "alice", server);
      const alice = await lab.agent("alice");
      const plain = await alice.tell("observe", { id: socketId, server: server.stun, plain: true });
      const { rewritten, publicAddresses } = await checkReport(lab, "alice", `stun:${server.address}`);
      const outside = lab.network.plan.gateways.find(({ name }) => name === router)?.outside as string;
      const [xorIsRight, plainIsRight] = [xor, plain].map((address) => address.startsWith(`${outside}:`));
      const works = xorIsRight && !plainIsRight && said(rewritten) === true && `${publicAddresses}` === outside;
      return {
        outcome: works ? "works" : "fails",
        why:
          `XOR-MAPPED-ADDRESS says ${xor}, MAPPED-ADDRESS ${plain}; ` +
          `check says: ${said(rewritten) === true ? "addresses are rewritten" : "nothing is rewritten"}`,
        figures: { "XOR-MAPPED-ADDRESS": xor, "MAPPED-ADDRESS": plain, "the router": outside },
      };
    },
  };
}
