/**
 * Postern, libnice and Chromium, each with its own kind, in the same network of namespaces, one after the other in every
 * round. The TURN server, which answers as a STUN server too, is the same for all.
 */
import { Lab } from "../../src/lab/lab.ts";
import type { NatName } from "../../src/lab/nats.ts";
import { Network } from "../../src/lab/network.ts";
import { Server } from "../../src/lab/server.ts";
import { main } from "../../test/support/daemon.ts";
import { startChromiums } from "./chromium.ts";
import type { Contender, ContenderName, StartContender } from "./contender.ts";
import { startLibnice } from "./libnice.ts";
import { startPosternEnds } from "./postern.ts";
import { type ConnectRun, type RestartRun, Session } from "./session.ts";

interface IceCase {
  readonly name: string;
  readonly nats: readonly [NatName, NatName];
  /** There is a STUN server besides that never answers. */
  readonly silentServer: boolean;
  readonly restarts: boolean;
}

/** The other ends wait for it until they give up, which takes up to 40 s: once says it. */
const silentDelay = 50;

const cones = ["port-restricted cone", "port-restricted cone"] as const;
const cases: readonly IceCase[] = [
  { name: "two port-restricted cones", nats: cones, silentServer: false, restarts: true },
  {
    name: "two symmetric NATs",
    nats: ["symmetric, random", "symmetric, in sequence"],
    silentServer: false,
    restarts: false,
  },
  { name: "the cones, and a STUN server that never answers", nats: cones, silentServer: true, restarts: false },
];

export interface IcePlan {
  readonly rounds: number;
  /** Milliseconds, one way. */
  readonly delays: readonly number[];
  readonly isQuick: boolean;
}

export interface IceResult {
  readonly case: string;
  readonly delay: number;
  readonly connecting: Readonly<Record<ContenderName, readonly ConnectRun[]>>;
  /** None where nothing was restarted. */
  readonly restarting: Readonly<Record<ContenderName, readonly RestartRun[]>>;
}

const starts: readonly StartContender[] = [startPosternEnds, startLibnice, startChromiums];

export async function measureIce(plan: IcePlan, progress: (line: string) => void): Promise<IceResult[]> {
  const results: IceResult[] = [];
  for (const delay of plan.delays) {
    for (const one of cases) {
      if (one.silentServer && (plan.isQuick || delay !== silentDelay)) continue;
      const rounds = one.silentServer ? { count: 1, warmUp: 0 } : { count: plan.rounds, warmUp: 1 };
      results.push(await measureCase(one, delay, rounds, progress));
    }
  }
  return results;
}

async function measureCase(
  { name, nats, silentServer, restarts }: IceCase,
  delay: number,
  { count, warmUp }: { readonly count: number; readonly warmUp: number },
  progress: (line: string) => void,
): Promise<IceResult> {
  const sites = [
    { name: "home", hosts: ["alice"], gateways: [{ nat: nats[0] }] },
    { name: "office", hosts: ["bob"], gateways: [{ nat: nats[1] }] },
  ];
  const options = { roundTrip: 2 * delay, postern: [process.execPath, main] };
  await using lab = new Lab(await Network.build({ outside: ["server", "mute"], sites }, options), options);
  await lab.network
    .at("mute")
    .nft("table inet mute { chain in { type filter hook input priority 0; meta l4proto udp drop; }; }");
  const server = await Server.start(lab);
  await using stack = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  for (const start of starts) contenders.push(stack.use(await start(lab)));
  const result = { case: name, delay, connecting: blank<ConnectRun>(), restarting: blank<RestartRun>() };
  const stun = silentServer ? { stun: lab.network.addressOf("mute") } : {};
  for (let round = 1 - warmUp; round <= count; round++) {
    for (const contender of rotated(contenders, round)) {
      await using session = await Session.open(lab, contender, { turn: server.turn(), ...stun });
      const connected = await session.connect();
      const restarted = restarts && round > 0 ? await session.restart() : undefined;
      progress(`${name}, ${delay} ms, ${round}, ${contender.name}: ${JSON.stringify({ ...connected, ...restarted })}`);
      if (round > 0) result.connecting[contender.name].push(connected);
      if (restarted !== undefined) result.restarting[contender.name].push(restarted);
    }
  }
  return result;
}

function rotated<T>(all: readonly T[], by: number): T[] {
  return all.map((_, i) => all[(i + by) % all.length] as T);
}

function blank<T>(): Record<ContenderName, T[]> {
  return { postern: [], libnice: [], chromium: [] };
}
