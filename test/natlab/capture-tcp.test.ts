/** TCP in captures: the bytes by hand, and as Wireshark's own dissector reads them. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeIp } from "../../src/natlab/ip-bytes.ts";
import { toAddress } from "../../src/natlab/surroundings.ts";
import { Flag } from "../../src/natlab/tcp/segment.ts";
import { tcpPacket } from "../../src/natlab/tcp/transmit.ts";
import { tlsClient, tlsServer } from "../../src/natlab/tls/tls-stream.ts";
import { peerPath, requirePeer } from "../support/peers.ts";
import { Program, pair } from "./tcp/pair.ts";

function onesComplement(...parts: readonly Uint8Array[]): number {
  let total = 0;
  for (const part of parts) for (const [n, byte] of part.entries()) total += n % 2 === 0 ? byte << 8 : byte;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

test("RFC 9293 §3.1: the header byte for byte, with a checksum that adds up, over IPv4 and IPv6", () => {
  for (const [source, destination, header] of [
    ["192.168.1.2", "198.51.100.1", 20],
    ["2001:db8::1", "2001:db8::2", 40],
  ] as const) {
    const ends = { source: toAddress(source, 5000), destination: toAddress(destination, 443) };
    const segment = { sequence: 0xdeadbeef, acknowledgment: 0x01020304, flags: Flag.Psh | Flag.Ack, window: 0xfff0 };
    const data = encodeIp(tcpPacket(ends, { ...segment, mss: undefined }, Uint8Array.of(1, 2, 3)));
    const tcp = data.subarray(header);
    assert.match(Buffer.from(tcp).toString("hex"), /^138801bbdeadbeef010203045018fff0....0000010203$/);
    assert.equal(data[header === 20 ? 9 : 6], 6);
    const addresses = data.subarray(header === 20 ? 12 : 8, header);
    assert.equal(onesComplement(addresses, Uint8Array.of(0, 6, 0, tcp.length), tcp), 0xffff);
    const syn = encodeIp(tcpPacket(ends, { ...segment, flags: Flag.Syn, mss: 1440 }));
    assert.match(Buffer.from(syn.subarray(header)).toString("hex"), /^138801bb.{16}6002fff0....0000020405a0$/);
    assert.equal(onesComplement(addresses, Uint8Array.of(0, 6, 0, 24), syn.subarray(header)), 0xffff);
  }
});

/** What tshark says of a capture: of each packet these fields. */
function dissect(file: Uint8Array, ...fields: readonly string[]): string[][] {
  const directory = mkdtempSync(join(tmpdir(), "postern-capture-"));
  try {
    writeFileSync(join(directory, "run.pcap"), file);
    const checks = ["ip", "tcp", "udp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);
    const wanted = fields.flatMap((field) => ["-e", field]);
    const args = ["-r", join(directory, "run.pcap"), ...checks, "-d", "tcp.port==80,tls", "-T", "fields", ...wanted];
    const out = execFileSync(peerPath("tshark")!, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return out
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split("\t"));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("Wireshark finds nothing wrong with a connection, and knows what was lost in it", {
  skip: requirePeer("tshark"),
}, () => {
  for (const loss of [0, 0.2]) {
    const { world, left, server, listener } = pair({ delay: 20, loss }, 4);
    const capture = world.capture();
    listener.onConnection = (connection) => {
      connection.onEnd = () => connection.end();
    };
    const client = new Program(left.connect(server));
    client.stream.write(new Uint8Array(30_000));
    client.stream.end();
    world.settle(200_000);
    assert.equal(client.log.at(-1), "closed: finished");
    const seen = dissect(
      capture.bytes(),
      "ip.checksum.status",
      "tcp.checksum.status",
      "tcp.flags.str",
      "tcp.len",
      "tcp.analysis.retransmission",
    );
    assert.ok(seen.length > 20);
    assert.ok(
      seen.every(([ip, tcp]) => ip === "1" && tcp === "1"),
      "1: good",
    );
    const flags = seen.map(([, , text]) => text?.replaceAll("·", ""));
    assert.deepEqual(flags.slice(0, 2), ["S", loss > 0 ? flags[1] : "AS"]);
    assert.equal(
      seen.some(([, , , , again]) => again !== ""),
      loss > 0,
    );
    const bytes = seen.reduce((sum, [, , , length, again]) => sum + (again === "" ? Number(length) : 0), 0);
    assert.ok(loss > 0 ? bytes >= 29_000 : bytes === 30_000, String(bytes));
  }
});

test("Wireshark reads TLS: the hellos, the server's name, and nothing behind", { skip: requirePeer("tshark") }, () => {
  const { world, left, server, listener } = pair({ delay: 20 });
  listener.onConnection = (connection) => {
    const program = new Program(tlsServer(connection));
    program.stream.onEnd = () => program.stream.end();
  };
  const capture = world.capture();
  const client = new Program(tlsClient(left.connect(server), { serverName: "turn.example.org" }));
  client.say("SIP/2.0 200 OK");
  client.stream.end();
  world.settle();
  const seen = dissect(
    capture.bytes(),
    "tls.handshake.type",
    "tls.handshake.extensions_server_name",
    "tls.record.content_type",
    "tls.handshake.ciphersuite",
    "_ws.malformed",
  );
  const said = (column: number): string[] =>
    seen.flatMap((row) => (row[column] ?? "").split(",").filter((one) => one !== ""));
  assert.deepEqual([said(0), said(1)], [["1", "2"], ["turn.example.org"]]);
  assert.deepEqual([...new Set(said(2))].sort(), ["20", "22"].concat(said(2).includes("23") ? ["23"] : []));
  assert.deepEqual([said(3), said(4)], [["0x1301", "0x1301"], []]);
});
