/**
 * A child of the datapaths' tests: sends ChannelData messages at once and reports what became of them.
 *
 *   congestion.ts DATAPATH MESSAGES BYTES
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type Address, parseIp } from "../../../src/core/base/address.ts";
import type { DatapathKind } from "../../../src/node/datapath/choice.ts";
import { createDatapath } from "../../../src/node/datapath/creation.ts";
import { until } from "../../support/until.ts";
import { Recorder } from "./compliance.ts";

const [kind, messages, size] = [process.argv[2] as DatapathKind, Number(process.argv[3]), Number(process.argv[4])];
const peer = createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
let received = 0;
let wrong = 0;
peer.on("message", (data) => {
  const whole = data.length === size + 4 && data.readUInt16BE(2) === size;
  if (!whole || data.readUInt16BE(0) !== 0x4000 + (received % 0x4000) || data[4] !== (received & 255)) wrong++;
  received++;
});
peer.bind(0, "127.0.0.1");
await once(peer, "listening");
const to = parseIp("127.0.0.1", peer.address().port) as Address;

const datapath = createDatapath(kind);
const sink = new Recorder();
const socket = datapath.bind(parseIp("127.0.0.1") as Address, "listener", sink);
await until("the socket to open", () => sink.address);
let accepted = 0;
for (let i = 0; i < messages; i++) {
  const payload = new Uint8Array(size).fill(i);
  if (datapath.sendChannelData(socket, 0x4000 + (i % 0x4000), payload, 0, size, to)) accepted++;
}
await until("what was accepted", () => received >= accepted);
process.stdout.write(JSON.stringify({ accepted, stats: datapath.stats, received, wrong }));
await datapath.close();
peer.close();
