/** A child of the datapaths' tests (`exhaustion.ts DATAPATH`), with few descriptors: opens sockets until there are none left, then one after a release. */
import { type Address, parseIp } from "../../../src/core/base/address.ts";
import type { DatapathKind } from "../../../src/node/datapath/choice.ts";
import { createDatapath } from "../../../src/node/datapath/creation.ts";
import { until } from "../../support/until.ts";
import { Recorder } from "./compliance.ts";

const loopback = parseIp("127.0.0.1") as Address;
const datapath = createDatapath(process.argv[2] as DatapathKind);
const sinks = Array.from({ length: 100 }, () => new Recorder());
for (const sink of sinks) datapath.bind(loopback, "relay", sink);
await until("every bind to end", () => sinks.every((sink) => sink.address ?? sink.failure));
const open = sinks.filter((sink) => sink.address !== undefined);
datapath.release(open[0]?.socket ?? -1);
const after = new Recorder();
datapath.bind(loopback, "relay", after);
await until("the bind after a release", () => after.address);
const { bindFailures, sockets } = datapath.stats;
process.stdout.write(JSON.stringify({ bindFailures, sockets, opened: open.length }));
await datapath.close();
