/** A NAT behind a NAT: the home's router, and the provider's. */
import { checkReport } from "../check.ts";
import { nats } from "../nats.ts";
import type { Scenario } from "../scenario.ts";
import { Server } from "../server.ts";
import type { GatewayDeclaration } from "../topology.ts";
import { judge, said } from "./nat.ts";

const gateway: GatewayDeclaration = { nat: "port-restricted cone" };
const several: readonly string[] = ["several", "probably-several"];

/** `gateways`: one alone, to see that the scenario tells. */
export function doubleNatScenario(gateways: readonly GatewayDeclaration[] = [gateway, gateway]): Scenario {
  return {
    name: "NAT behind NAT",
    title: "Alice's router stands behind the provider's NAT; `postern check` says what both are together.",
    topology: { outside: ["server"], sites: [{ name: "home", hosts: ["alice"], gateways }] },
    expected: "works",
    run: async (lab) => {
      const server = await Server.start(lab);
      const report = await checkReport(lab, "alice", `stun:${server.address}`);
      const { outcome, why, figures } = judge(nats[gateway.nat].behavior, report);
      const layers = said(report.layers);
      return {
        outcome: several.includes(layers) ? outcome : "fails",
        why: `${why}; NATs: ${layers}`,
        figures: { ...figures, layers },
      };
    },
  };
}
