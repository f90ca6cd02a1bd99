/** A NAT behind a NAT: the home's router, and the provider's. */
import { checkReport } from "../check.ts";
import { nats } from "../nats.ts";
import type { Scenario } from "../scenario.ts";
import { Server } from "../server.ts";
import type { GatewayDeclaration } from "../topology.ts";
import { callWithStun } from "./figures.ts";
import { judge, said } from "./nat.ts";

const gateway: GatewayDeclaration = { nat: "port-restricted cone" };
const several: readonly string[] = ["several", "probably-several"];

/** `gateways`: one alone, to see that the scenario tells. */
export function doubleNatScenario(gateways: readonly GatewayDeclaration[] = [gateway, gateway]): Scenario {
  return {
    name: "NAT behind NAT",
    title:
      "Alice's router stands behind the provider's NAT: check says what both are together, and STUN sees the outer one.",
    topology: { outside: ["server", "bob"], sites: [{ name: "home", hosts: ["alice"], gateways }] },
    expected: "works",
    run: async (lab) => {
      const server = await Server.start(lab);
      const report = await checkReport(lab, "alice", `stun:${server.address}`);
      const { outcome, why, figures } = judge(nats[gateway.nat].behavior, report);
      const layers = said(report.layers);
      await lab.forget();
      const called = await callWithStun(lab, server);
      return {
        outcome: several.includes(layers) && called.outcome === "works" ? outcome : "fails",
        why: `${why}; NATs: ${layers}; ${called.why}`,
        figures: { ...figures, layers },
      };
    },
  };
}
