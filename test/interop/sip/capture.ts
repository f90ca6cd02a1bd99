/** What came and went at a host of the lab, packet by packet, by the kernel's clock, which all hosts share. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { peerPath } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import type { Office } from "./office.ts";

export interface Captured {
  /** Milliseconds. */
  readonly at: number;
  readonly source: string;
  readonly destination: string;
  /** Of UDP; long ones are cut. */
  readonly data: Buffer;
}

/** A packet of voice, or what looks like one. */
export interface Voice extends Captured {
  readonly payloadType: number;
  readonly sequence: number;
  readonly ssrc: number;
}

const [fileHeader, recordHeader, ethernet] = [24, 16, 14];
/** Of each packet: all that voice is looked at for. */
const bytesKept = 128;

export class Capture implements AsyncDisposable {
  readonly #home: string;
  readonly #stop: () => Promise<unknown>;

  /** Resolves when it sees what passes: IPv4 and UDP. */
  static async start(office: Office, place: string, { bytes = bytesKept } = {}): Promise<Capture> {
    const home = await mkdtemp(join(tmpdir(), "postern-capture-"));
    const path = join(home, "packets.pcap");
    // A virtual link carries what the server sends in one piece (UDP_SEGMENT) uncut, and so would be seen.
    await office.network.at("server").run([peerPath("ethtool")!, "-K", "outside", "tx-udp-segmentation", "off"]);
    const child = await office.start(place, [
      ...[peerPath("dumpcap")!, "-q", "-P", "-i", "outside", "-f", "ip and udp"],
      ...["-s", `${bytes}`, "-B", "64", "-w", path],
    ]);
    await until(`a capture at ${place}`, () => child.output().includes("File:"));
    return new Capture(home, () => child.stop("SIGINT"));
  }

  private constructor(home: string, stop: () => Promise<unknown>) {
    this.#home = home;
    this.#stop = stop;
  }

  /** Ends it, and tells all that passed. */
  async packets(): Promise<Captured[]> {
    await this.#stop();
    return [...read(await readFile(join(this.#home, "packets.pcap")))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    await rm(this.#home, { recursive: true, force: true });
  }
}

function* read(file: Buffer): Generator<Captured> {
  for (let at = fileHeader; at + recordHeader <= file.length; ) {
    const [seconds, micros, length] = [0, 4, 8].map((offset) => file.readUInt32LE(at + offset)) as [
      number,
      number,
      number,
    ];
    const packet = file.subarray(at + recordHeader + ethernet, at + recordHeader + length);
    at += recordHeader + length;
    const udp = packet.subarray(4 * ((packet[0] as number) & 15));
    const host = (offset: number) => packet.subarray(offset, offset + 4).join(".");
    yield {
      at: 1_000 * seconds + micros / 1_000,
      source: `${host(12)}:${udp.readUInt16BE(0)}`,
      destination: `${host(16)}:${udp.readUInt16BE(2)}`,
      data: udp.subarray(8),
    };
  }
}

export function isFrom(packet: Captured, host: string): boolean {
  return packet.source.startsWith(`${host}:`);
}

/** RFC 3550 §5.1; RTCP is told from it by its type (RFC 5761 §4). */
export function voicesIn(packets: readonly Captured[]): Voice[] {
  const isVoice = ({ data }: Captured) =>
    data.length >= 12 && data[0]! >> 6 === 2 && (data[1]! < 192 || data[1]! > 223);
  return packets.filter(isVoice).map((packet) => {
    const { data } = packet;
    return { ...packet, payloadType: data[1]! & 127, sequence: data.readUInt16BE(2), ssrc: data.readUInt32BE(8) };
  });
}
