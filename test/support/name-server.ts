/** A small DNS server on loopback: it says what its zone holds, or that it cannot, or nothing. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type Address, parseIp } from "../../src/core/base/address.ts";

const TYPES = { A: 1, AAAA: 28, SRV: 33, NAPTR: 35 } as const;
type RecordType = keyof typeof TYPES;

/** By type and name, as `SRV _sip._udp.a.example`: each record as a zone file writes it, quotes left out. */
export type NameZone = Readonly<Record<string, readonly string[]>>;

const word = (value: number): Buffer => Buffer.of(value >> 8, value & 255);
const text = (value: string): Buffer => Buffer.from([value.length, ...Buffer.from(value)]);

function name(value: string): Buffer {
  const labels = value === "." ? [] : value.split(".");
  return Buffer.concat([...labels.map(text), Buffer.of(0)]);
}

function data(type: RecordType, record: string): Buffer {
  const words = record.split(" ");
  const numbers = (count: number) => words.slice(0, count).map((one) => word(Number(one)));
  if (type === "SRV") return Buffer.concat([...numbers(3), name(words[3] as string)]);
  if (type === "NAPTR") {
    const [, , flags = "", services = "", replacement = ""] = words;
    return Buffer.concat([...numbers(2), text(flags), text(services), text(""), name(replacement)]);
  }
  const { w0, w1, w2, w3 } = parseIp(record) as Address;
  const bytes = (type === "A" ? [w3] : [w0, w1, w2, w3]).flatMap((value) => [value >>> 16, value & 0xffff].map(word));
  return Buffer.concat(bytes);
}

export class NameServer implements AsyncDisposable {
  zone: NameZone;
  /** Seconds that its answers are good for. */
  ttl = 60;
  /** What it cannot say, whatever its mood. */
  broken: readonly string[] = [];
  mood: "answers" | "fails" | "is silent" = "answers";
  /** What it was asked, as in its zone. */
  readonly asked: string[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket, zone: NameZone) {
    this.#socket = socket;
    this.zone = zone;
    socket.on("message", (question, { port, address }) => {
      const reply = this.#reply(question);
      if (reply !== undefined) socket.send(reply, port, address);
    });
  }

  static async open(zone: NameZone, address = "127.0.0.1", port = 0): Promise<NameServer> {
    const socket = createSocket("udp4");
    socket.bind(port, address);
    await once(socket, "listening");
    return new NameServer(socket, zone);
  }

  /** As `setServers` takes it. */
  get at(): string {
    const { address, port } = this.#socket.address();
    return `${address}:${port}`;
  }

  #reply(question: Buffer): Buffer | undefined {
    const labels: string[] = [];
    let at = 12;
    for (; question[at] !== 0; at += (question[at] as number) + 1) {
      labels.push(question.toString("latin1", at + 1, at + 1 + (question[at] as number)));
    }
    const asked = question.readUInt16BE(at + 1);
    const type = (Object.keys(TYPES) as RecordType[]).find((one) => TYPES[one] === asked);
    const host = labels.join(".").toLowerCase();
    this.asked.push(`${type ?? asked} ${host}`);
    const isBroken = this.mood === "fails" || this.broken.includes(`${type} ${host}`);
    if (this.mood === "is silent") return undefined;
    const records = isBroken || type === undefined ? [] : (this.zone[`${type} ${host}`] ?? []);
    const isKnown = Object.keys(this.zone).some((key) => key.endsWith(` ${host}`));
    // RFC 1035 §4.1.1: SERVFAIL, no error, or that there is no such name.
    const flags = isBroken ? 0x8182 : isKnown ? 0x8180 : 0x8183;
    const parts = [
      question.subarray(0, 2),
      ...[flags, 1, records.length, 0, 0].map(word),
      question.subarray(12, at + 5),
    ];
    for (const record of records) {
      const bytes = data(type as RecordType, record);
      parts.push(...[0xc00c, asked, 1, 0, this.ttl, bytes.length].map(word), bytes);
    }
    return Buffer.concat(parts);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }
}
