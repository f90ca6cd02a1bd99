/** Two hosts on one link, and what their programs hear of their connections. */
import { decodeUtf8, encodeUtf8 } from "../../../src/core/base/utf8.ts";
import type { GatewayOptions } from "../../../src/natlab/gateway.ts";
import type { LinkConditions } from "../../../src/natlab/link.ts";
import type { TcpPacket } from "../../../src/natlab/packet.ts";
import { toAddress } from "../../../src/natlab/surroundings.ts";
import type { ByteStream } from "../../../src/natlab/tcp/byte-stream.ts";
import { Flag, type Segment } from "../../../src/natlab/tcp/segment.ts";
import { tcpPacket } from "../../../src/natlab/tcp/transmit.ts";
import { World } from "../../../src/natlab/world.ts";

/** A program that notes what it hears of one stream. */
export class Program {
  readonly stream: ByteStream;
  /** "open", "end", "closed: reason", in order. */
  readonly log: string[] = [];
  readonly chunks: Uint8Array[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.onOpen = () => this.log.push("open");
    stream.onData = (data) => this.chunks.push(data);
    stream.onEnd = () => this.log.push("end");
    stream.onClose = (reason) => this.log.push(`closed: ${reason}`);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return decodeUtf8(this.bytes) ?? "(no text)";
  }

  say(text: string): void {
    this.stream.write(encodeUtf8(text));
  }
}

const names: readonly (readonly [number, string])[] = [
  [Flag.Syn, "SYN"],
  [Flag.Fin, "FIN"],
  [Flag.Rst, "RST"],
  [Flag.Ack, "ACK"],
];

/** "SYN ACK" and so on, with the length of the data. */
export function describe({ segment, payload }: TcpPacket): string {
  const flags = names.filter(([flag]) => (segment.flags & flag) !== 0).map(([, name]) => name);
  return payload.length === 0 ? flags.join(" ") : `${flags.join(" ")} ${payload.length}`;
}

export function pair(conditions: Partial<LinkConditions> = {}, seed = 1) {
  const world = new World({ seed });
  const link = world.link("link", conditions);
  const [left, right] = [world.host("left").attach(link, "10.0.0.1"), world.host("right").attach(link, "10.0.0.2")];
  const accepted: Program[] = [];
  const listener = right.listen({ port: 80 }, (connection) => accepted.push(new Program(connection)));
  return { world, link, left, right, listener, accepted, server: listener.address };
}

/** As `pair`, with the left host behind a gateway; the link between that and the right one is as the other. */
export function pairThrough(options: GatewayOptions, conditions: Partial<LinkConditions> = {}, seed = 1) {
  const lab = pair(conditions, seed);
  const home = lab.world.link("home", conditions);
  lab.world.gateway("gateway", options).outside(lab.link, "10.0.0.9").inside(home, "192.168.1.1/24");
  return { ...lab, left: lab.world.host("inside").attach(home, "192.168.1.2") };
}

/** A pair with one open connection. */
export function connected(conditions: Partial<LinkConditions> = {}, seed = 1) {
  const lab = pair(conditions, seed);
  const client = new Program(lab.left.connect(lab.server, { port: 5000 }));
  lab.world.settle(20_000);
  return { ...lab, client, far: lab.accepted[0] as Program };
}

/** What a link carries from now on, one line a segment, with who sends it. */
export function transcript(world: World): string[] {
  const lines: string[] = [];
  world.watch(({ kind, packet }) => {
    if (kind !== "carried" || packet.protocol !== "tcp") return;
    lines.push(`${packet.source.port === 80 ? "<" : ">"} ${describe(packet)}`);
  });
  return lines;
}

/** Segments with the sequence numbers that a link saw last, from one end. */
export function lastFrom(world: World, port: number): { packet?: TcpPacket } {
  const last: { packet?: TcpPacket } = {};
  world.watch(({ kind, packet }) => {
    if (kind === "carried" && packet.protocol === "tcp" && packet.source.port === port) last.packet = packet;
  });
  return last;
}

/** Puts a segment of nobody's on the link: from `source` to `destination`, as whoever forges it says. */
export function forge(
  lab: Pick<ReturnType<typeof pair>, "world" | "link">,
  source: readonly [string, number],
  destination: readonly [string, number],
  segment: Partial<Segment>,
  payload?: Uint8Array,
): void {
  const forger = lab.link.attach({ name: "forger", receive: () => {} }, []);
  const whole: Segment = { sequence: 0, acknowledgment: 0, flags: 0, window: 65_535, mss: undefined, ...segment };
  const ends = { source: toAddress(...source), destination: toAddress(...destination) };
  lab.link.carry(tcpPacket(ends, whole, payload), forger);
}
