/**
 * Where UDP and TCP are in an Ethernet frame, and the checksum that a network card would fill in. Virtual devices leave
 * it to the card, and a frame that is read by a program on its way has none yet.
 */

const ethernetHeader = 14;
const ipv4 = 0x0800;
const protocols = { 6: { name: "tcp", checksumAt: 16 }, 17: { name: "udp", checksumAt: 6 } } as const;

/** Offsets into the buffer. */
export interface Transport {
  readonly protocol: "tcp" | "udp";
  readonly ip: number;
  readonly header: number;
  readonly checksum: number;
  readonly end: number;
}

/** Undefined: it is something else, or a fragment, which was summed before it was cut. */
export function transportOf(bytes: Buffer, start: number): Transport | undefined {
  const ip = start + ethernetHeader;
  if (bytes.length < ip + 20 || bytes.readUInt16BE(ip - 2) !== ipv4) return undefined;
  const end = ip + bytes.readUInt16BE(ip + 2);
  const header = ip + ((bytes[ip] as number) & 0xf) * 4;
  const protocol = protocols[bytes[ip + 9] as keyof typeof protocols];
  const isFragment = (bytes.readUInt16BE(ip + 6) & 0x3fff) !== 0;
  if (protocol === undefined || isFragment || end > bytes.length) return undefined;
  const checksum = header + protocol.checksumAt;
  return checksum + 2 > end ? undefined : { protocol: protocol.name, ip, header, checksum, end };
}

function sum(bytes: Buffer, from: number, end: number, start: number): number {
  let total = start;
  for (let at = from; at + 1 < end; at += 2) total += bytes.readUInt16BE(at);
  return (end - from) % 2 === 1 ? total + ((bytes[end - 1] as number) << 8) : total;
}

/** Corrects the UDP or TCP checksum of the Ethernet frame in `bytes` at `start`; leaves any other frame alone. */
export function fillTransportChecksum(bytes: Buffer, start: number): void {
  const transport = transportOf(bytes, start);
  if (transport === undefined) return;
  const { ip, header, checksum, end } = transport;
  bytes.writeUInt16BE(0, checksum);
  const pseudoHeader = sum(bytes, ip + 12, ip + 20, (bytes[ip + 9] as number) + end - header);
  let total = sum(bytes, header, end, pseudoHeader);
  while (total > 0xffff) total = (total >>> 16) + (total & 0xffff);
  // RFC 768: a sum of zero is sent as all ones, for zero means that there is none.
  bytes.writeUInt16BE(~total & 0xffff || 0xffff, checksum);
}
