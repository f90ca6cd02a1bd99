/** TURN as the configuration wants it: in this thread, or in workers. */
import { availableParallelism } from "node:os";
import { PosternError } from "../core/base/failure.ts";
import type { DatapathChoice } from "../node/datapath/choice.ts";
import type { Datapath } from "../node/datapath/datapath.ts";
import type { OffloadReports } from "../node/datapath/ebpf/kernel-forwarding.ts";
import { offloadReports } from "../node/datapath/offload-log.ts";
import type { TurnService } from "../node/turn-service.ts";
import type { AddressPlan } from "./address-plan.ts";
import type { Config } from "./config/config.ts";
import type { LoadedConfig } from "./config/load.ts";
import type { EventLog } from "./event-log.ts";
import type { DaemonLog } from "./log.ts";
import { type Keys, turnConfig } from "./turn-config.ts";
import type { UserStore } from "./users/user-store.ts";

export interface TurnParts {
  readonly loaded: LoadedConfig;
  readonly datapath: DatapathChoice;
  readonly plan: AddressPlan;
  readonly keys: Keys;
  readonly users: UserStore;
  readonly events: EventLog;
  readonly log: DaemonLog;
}

/** More than so many wait for memory and the network card, not for processors. */
const mostByThemselves = 8;

/**
 * How many shards there are; 1 is none besides this thread. Throws `PosternError` `shards-need-mmsg` when there have to be
 * several, and cannot.
 */
export function shardCount({ shards, udpPort }: Config, { kind }: DatapathChoice): number {
  if (udpPort === undefined) return 1;
  if (shards === undefined) return kind === "mmsg" ? Math.min(availableParallelism(), mostByThemselves) : 1;
  if (shards > 1 && kind !== "mmsg") {
    throw new PosternError(
      "shards-need-mmsg",
      "Clients can be divided among several shards only with the datapath mmsg, which cannot be had here: leave shards at 1.",
    );
  }
  return shards;
}

/** Opens no listener yet. Loads what it is made of, and not the other. Rejects with `PosternError`. */
export async function createTurn(parts: TurnParts): Promise<TurnService> {
  const { loaded, datapath, plan, keys, users, events, log } = parts;
  const { config } = loaded;
  const common = {
    config: turnConfig(config, plan, keys, datapath.kind === "mmsg"),
    keys: users.find.bind(users),
    onEvent: events.report,
    log,
    streams: streamLimits(loaded),
  };
  const shards = shardCount(config, datapath);
  if (shards > 1) {
    const { TurnShards } = await import("../node/shard/turn-shards.ts");
    const { wakeDelay, offload, offloadHelper, offloadInterfaces, tcpPort, tlsPort } = config;
    const servesStreams = tcpPort !== undefined || tlsPort !== undefined;
    const forwarding = { offload: offload === "auto", offloadHelper, offloadInterfaces };
    return new TurnShards({ ...common, shards, servesStreams, wakeDelay, ...forwarding });
  }
  const { TurnHost } = await import("../node/turn-host.ts");
  return new TurnHost({ ...common, datapath: await openDatapath(config, datapath, offloadReports(log)) });
}

/** What carries packets in this thread; `reports` hears whether the kernel forwards some. */
export async function openDatapath(
  { wakeDelay, offload, offloadHelper, offloadInterfaces }: Config,
  { kind }: DatapathChoice,
  reports: OffloadReports,
): Promise<Datapath> {
  const { createDatapath } = await import("../node/datapath/creation.ts");
  if (offload === "off") return createDatapath(kind, { wakeDelay, merges: "bursts" });
  const { withOffload } = await import("../node/datapath/offload.ts");
  return withOffload(createDatapath(kind, { wakeDelay }), { offloadHelper, offloadInterfaces }, reports);
}

/** A default is not imposed: the host knows better how many descriptors there are. */
function streamLimits({ config, given }: LoadedConfig) {
  const { streamConnections: connections, streamConnectionsPerSource: connectionsPerSource } = config;
  return { connectionsPerSource, ...(given.has("streamConnections") ? { connections } : {}) };
}
