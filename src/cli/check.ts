/** `postern check`: what this network does to a call, asked of STUN and TURN servers. */
import type { Command } from "commander";
import type { Address, Family } from "../core/base/address.ts";
import type { DiscoveryStage } from "../core/stun/behavior/procedure.ts";
import type { BehaviorReport } from "../core/stun/behavior/report.ts";
import type { Target } from "./check/targets.ts";
import type { Measurements, StreamResult } from "./check/verdict.ts";

interface CheckFlags {
  readonly json?: boolean;
  readonly lifetime?: boolean;
}

/** What a script tells from a mistake of the caller's, which is 1. */
const CALLS_FAIL = 2;

export function addCheckCommand(program: Command): void {
  program
    .command("check")
    .description("find out what this network does to a call, and say what to change")
    .argument("<URI...>", "STUN and TURN servers to ask: stun:HOST, turn:HOST, turns:HOST:443")
    .option("--lifetime", "find out how long an idle NAT binding lives too, which takes minutes")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExit status: 0 calls will work, 2 they will not or only some, 1 the command is wrong.")
    .action(check);
}

const stages: Readonly<Record<DiscoveryStage, string>> = {
  reachability: "asking the servers",
  ports: "watching how ports are chosen",
  "mapping-and-filtering": "trying what the NAT maps, filters and turns around",
  lengths: "sending long datagrams",
  tcp: "trying TCP",
  lifetime: "waiting for bindings to die",
};

/** One line that is written over; nothing where there is no terminal. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

async function check(uris: readonly string[], { json, lifetime }: CheckFlags): Promise<void> {
  const [{ findTargets }, { judge }, words] = await Promise.all([
    import("./check/targets.ts"),
    import("./check/verdict.ts"),
    import("./check/words.ts"),
  ]);
  const targets = (await Promise.all(uris.map(findTargets))).flat();
  const measured = await measure(targets, lifetime === true);
  progress("");
  const verdict = judge(measured);
  if (json === true) {
    const { reports, streams } = measured;
    console.log(JSON.stringify({ reports, streams, verdict }, words.plainValues, 2));
  } else {
    for (const report of measured.reports) console.log(`${words.describeReport(report).join("\n")}\n`);
    for (const stream of measured.streams) console.log(words.describeStream(stream));
    console.log(`\n${words.describeVerdict(verdict).join("\n")}`);
  }
  process.exitCode = verdict.calls === "no" ? CALLS_FAIL : 0;
}

async function measure(targets: readonly Target[], withLifetime: boolean): Promise<Measurements> {
  const udp = targets.filter(({ transport }) => transport === "udp");
  const reports: BehaviorReport[] = [];
  for (const family of [4, 6] as const) {
    const servers = distinct(udp.map(({ address }) => address).filter((address) => address.family === family));
    const report = servers.length === 0 ? undefined : await discover(family, servers, withLifetime);
    if (report !== undefined) reports.push(report);
  }
  return { udp, reports, streams: await reachAll(targets) };
}

function distinct(addresses: readonly Readonly<Address>[]): Readonly<Address>[] {
  return [...new Map(addresses.map((one) => [JSON.stringify(one), one])).values()];
}

/** Undefined where the host has no address of that family to ask from. */
async function discover(
  family: Family,
  servers: readonly Readonly<Address>[],
  withLifetime: boolean,
): Promise<BehaviorReport | undefined> {
  const [{ discoverNat }, { localAddressToward }] = await Promise.all([
    import("../node/nat-discovery.ts"),
    import("../node/local-address.ts"),
  ]);
  const local = await localAddressToward(servers[0] as Address);
  if (local === undefined) return undefined;
  return await discoverNat({
    local,
    servers,
    tcp: true,
    gateway: true,
    ...(withLifetime ? { lifetime: { first: 15, longest: 600, precision: 5 } } : {}),
    onStage: (stage) => progress(`IPv${family}: ${stages[stage]} …`),
  });
}

async function reachAll(targets: readonly Target[]): Promise<StreamResult[]> {
  const { reachStream } = await import("../node/reach.ts");
  progress("trying TCP and TLS …");
  return Promise.all(
    targets.flatMap((target) => {
      const { transport, address, host } = target;
      if (transport === "udp") return [];
      return [reachStream(transport, address, host).then((reached) => ({ target, reached }))];
    }),
  );
}
