/** A discovery client in natlab: it and Postern's server know nothing of the network that a test builds between them. */
import assert from "node:assert/strict";
import { type Address, formatIp } from "../../src/core/base/address.ts";
import type { DiscoveryTests } from "../../src/core/stun/behavior/discover.ts";
import { NatDiscovery } from "../../src/core/stun/behavior/nat-discovery.ts";
import type { BehaviorReport, Finding } from "../../src/core/stun/behavior/report.ts";
import { StreamFramer } from "../../src/core/turn/stream-framing.ts";
import type { NatBehavior } from "../../src/natlab/behavior.ts";
import type { Host } from "../../src/natlab/host.ts";
import type { Link, LinkConditions } from "../../src/natlab/link.ts";
import type { ByteStream } from "../../src/natlab/tcp/byte-stream.ts";
import type { SendOptions } from "../../src/natlab/udp-socket.ts";
import { World } from "../../src/natlab/world.ts";
import { PosternService } from "../core/stun/behavior/small-world.ts";

const ETHERNET = 1500;
const servers = { 4: ["198.51.100.1", "198.51.100.2"], 6: ["2001:db8:f::1", "2001:db8:f::2"] } as const;

/** NATs from the outermost to the innermost. */
export function discover(
  nats: readonly NatBehavior[],
  tests: Partial<DiscoveryTests> = {},
  conditions: Partial<LinkConditions> = {},
): BehaviorReport {
  const world = new World({ seed: 5 });
  const internet = world.link("internet", { delay: 10, ...conditions });
  serve(world, internet);
  let link = internet;
  let outside = "203.0.113.10";
  for (const [i, nat] of nats.entries()) {
    const inside = world.link(`inside-${i}`, { delay: 1 });
    world.gateway(`nat-${i}`, { nat }).outside(link, outside).inside(inside, `10.${i}.0.1/24`);
    link = inside;
    outside = `10.${i}.0.2`;
  }
  return run(world, world.host("client").attach(link, outside), tests);
}

/** Calls `onFrame` with each STUN message that comes from `stream`. */
function frame(stream: ByteStream, onFrame: (message: Uint8Array) => void): void {
  const framer = new StreamFramer(4096);
  stream.onData = (data) => {
    framer.push(data);
    for (let one = framer.next(); one !== undefined; one = framer.next()) onFrame(one);
  };
}

/** Postern's server, with two addresses on `internet`, over UDP and TCP. */
export function serve(world: World, internet: Link, family: 4 | 6 = 4): void {
  const service = new PosternService(servers[family]);
  const server = world.host("server").attach(internet, ...servers[family]);
  const sockets = service.addresses.map((one) => server.socket({ address: formatIp(one), port: one.port }));
  for (const { address: at } of sockets) {
    server.listen({ address: formatIp(at), port: at.port }, (connection) => {
      frame(connection, (message) => {
        for (const { data } of service.answer(message, connection.remoteAddress, at, world.now)) connection.write(data);
      });
    });
  }
  for (const socket of sockets) {
    socket.onMessage = (data, from) => {
      for (const reply of service.answer(data, from, socket.address, world.now)) {
        const dontFragment = fitsEthernet(reply.data, family);
        sockets[service.addresses.indexOf(reply.from)]?.send(reply.data, reply.to, { dontFragment });
      }
    };
  }
}

/** As Linux sends: what fits the first link is not to be cut on the way. */
function fitsEthernet(data: Uint8Array, family: 4 | 6): boolean {
  return data.length + (family === 4 ? 28 : 48) <= ETHERNET;
}

export function run(
  world: World,
  client: Host,
  tests: Partial<DiscoveryTests> = {},
  family: 4 | 6 = 4,
): BehaviorReport {
  const [server] = new PosternService(servers[family].slice(0, 1), [3478]).addresses;
  const config = { family, servers: [server!], tests: { tcp: false, gateway: false, lifetime: undefined, ...tests } };
  const machine = new NatDiscovery(config, world.random());
  interface Opened {
    send(data: Uint8Array, to: Readonly<Address>, options: SendOptions): void;
    close(): void;
  }
  const sockets = new Map<number, Opened>();
  let report: BehaviorReport | undefined;
  const alarm = world.alarm(() => input(() => machine.handleTimeout(world.now)));
  const input = (mutate: () => void): void => {
    mutate();
    for (let output = machine.pollOutput(); output !== undefined; output = machine.pollOutput()) {
      if (output.kind === "report") report = output.report;
      else if (output.kind === "send") {
        const { data, to, hopLimit } = output;
        const options = { dontFragment: fitsEthernet(data, family), ...(hopLimit === undefined ? {} : { hopLimit }) };
        sockets.get(output.socket)?.send(data, to, options);
      } else if (output.kind === "connect")
        sockets.set(output.socket, connect(output.socket, output.to, output.localPort));
      else if (output.kind === "close") sockets.get(output.socket)?.close();
      else if (output.kind === "open") {
        const { socket } = output;
        const opened = client.socket();
        opened.onMessage = (data, from) => input(() => machine.handleMessage(socket, data, from, world.now));
        sockets.set(socket, opened);
        world.at(world.now, () => input(() => machine.handleOpened(socket, opened.address, world.now)));
      }
    }
    alarm.follow(machine.pollTimeout());
  };
  const connect = (socket: number, to: Readonly<Address>, port: number): Opened => {
    const connection = client.connect(to, port === 0 ? {} : { port });
    connection.onOpen = () => input(() => machine.handleOpened(socket, connection.localAddress, world.now));
    connection.onClose = () => input(() => machine.handleFailed(socket, world.now));
    frame(connection, (message) => input(() => machine.handleMessage(socket, message, to, world.now)));
    return { send: (data) => connection.write(data), close: () => connection.reset() };
  };
  input(() => machine.start(world.now));
  world.settle(7_200_000);
  assert.ok(report, "there is a report");
  return report;
}

export function said<T>(finding: Finding<T>): T | string {
  return finding.known ? finding.value : `(${finding.why})`;
}
