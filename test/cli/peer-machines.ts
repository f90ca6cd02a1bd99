/** Two machines behind NATs of the lab that run `postern check --peer`, as two users would. */
import type { FirewallName } from "../../src/lab/firewalls.ts";
import { Lab } from "../../src/lab/lab.ts";
import type { NatName } from "../../src/lab/nats.ts";
import { Network } from "../../src/lab/network.ts";
import type { Program } from "../../src/lab/program.ts";
import type { TurnLogin } from "../../src/lab/server.ts";
import { cleanEnvironment, main } from "../support/daemon.ts";
import { until } from "../support/until.ts";

export interface Machine extends AsyncDisposable {
  readonly program: Program;
  /** Standard output alone. */
  screen(): string;
  paste(text: string): void;
  ended(): Promise<number | null>;
}

const postern = [process.execPath, main];

/** Alice and Bob in one network, behind one router. */
export async function oneNetwork(): Promise<Lab> {
  const sites = [{ name: "home", hosts: ["alice", "bob"], gateways: [{ nat: "port-restricted cone" as const }] }];
  return new Lab(await Network.build({ outside: [], sites }), { postern, roundTrip: 0 });
}

/** Alice and Bob at their homes, and a server's host; `firewall`: in front of Alice. */
export async function networkOf(
  nats: readonly [NatName, NatName],
  { roundTrip = 0, firewall }: { roundTrip?: number; firewall?: FirewallName } = {},
): Promise<Lab> {
  const sites = [
    { name: "alice's home", hosts: ["alice"], gateways: [{ nat: nats[0], ...(firewall && { firewall }) }] },
    { name: "bob's home", hosts: ["bob"], gateways: [{ nat: nats[1] }] },
  ];
  return new Lab(await Network.build({ outside: ["server"], sites }, { roundTrip }), { postern, roundTrip });
}

/** Starts `postern check` on a host; the password goes through the environment. */
export async function startMachine(
  lab: Lab,
  host: string,
  args: readonly string[],
  password: string = "",
): Promise<Machine> {
  const env = { ...cleanEnvironment, POSTERN_CHECK_PASSWORD: password };
  const program = await lab.network.at(host).start([...postern, "check", ...args], { env, input: "hold" });
  let screen = "";
  program.onOutput = (text) => {
    screen += text;
  };
  return {
    program,
    screen: () => screen,
    paste: (text) => program.write(text),
    ended: async () => (await program.ended).code,
    [Symbol.asyncDispose]: async () => void (await program.stop()),
  };
}

export async function codeOf({ program }: Machine): Promise<string> {
  return until("the code", () => /^Code: (\S+)$/m.exec(program.output)?.[1], { within: 60_000 });
}

export async function lineOf({ program }: Machine): Promise<string> {
  return until("the line", () => /^(postern1\S+)$/m.exec(program.output)?.[1], { within: 60_000 });
}

export function byCode(login: TurnLogin, ...rest: readonly string[]): string[] {
  return [login.url, "--user", login.username, "--duration", "1s", ...rest];
}
