/**
 * A child of the datapaths' tests, where loopback carries 1,500 bytes: sends datagrams that may be cut up and others that
 * may not, and reports what became of them.
 *
 *   fragments.ts PORT PURPOSE
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type Address, formatAddress, parseIp } from "../../../src/core/base/address.ts";
import { DONT_FRAGMENT, NO_FIELDS } from "../../../src/core/base/ip-fields.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { until } from "../../support/until.ts";
import { Recorder } from "./compliance.ts";

const [port, purpose] = [Number(process.argv[2]), process.argv[3] as "relay" | "turn-listener"];
const peer = createSocket("udp4");
const received: number[] = [];
peer.on("message", ({ length }) => received.push(length));
peer.bind(port, "127.0.0.1");
await once(peer, "listening");
const to = parseIp("127.0.0.1", port) as Address;

const datapath = new MmsgDatapath();
const errors: string[] = [];
const sink = Object.assign(new Recorder(), {
  handleIcmp: (at: Readonly<Address>, { type, code, mtu }: { type: number; code: number; mtu: number }) =>
    errors.push(`${formatAddress(at)} ${type}/${code} ${mtu}`),
});
const socket = datapath.bind(parseIp("127.0.0.1") as Address, purpose, sink);
await until("the socket to open", () => sink.address);
const data = new Uint8Array(4_000);
const send = (length: number, dontFragment = false): boolean =>
  datapath.send(socket, data, 0, length, to, dontFragment ? DONT_FRAGMENT : NO_FIELDS);

const answers = [send(1), send(2), send(3, true), send(4, true), send(5), send(3_000), send(3_001, true), send(6)];
for (let i = 0; i < 4; i++) datapath.sendChannelData(socket, 0x4000, data, 0, 1_000, to);
await until("what was sent", () => received.length === 11);
if (purpose === "relay") await until("an error", () => errors.length > 0);
process.stdout.write(JSON.stringify({ answers, received, errors, drops: datapath.stats.drops["too-long"] }));
await datapath.close();
peer.close();
