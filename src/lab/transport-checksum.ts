/**
 * The checksum that a network card would fill in. Virtual devices leave it to the card, and a frame that is read by a
 * program on its way has none yet.
 */

const ethernetHeader = 14;
const ipv4 = 0x0800;
/** Where the checksum is in the header. */
const places: Readonly<Record<number, number>> = { 6: 16, 17: 6 };

function sum(bytes: Buffer, from: number, end: number, start: number): number {
  let total = start;
  for (let at = from; at + 1 < end; at += 2) total += bytes.readUInt16BE(at);
  return (end - from) % 2 === 1 ? total + ((bytes[end - 1] as number) << 8) : total;
}

/** Corrects the UDP or TCP checksum of the Ethernet frame in `bytes` at `start`; leaves any other frame alone. */
export function fillTransportChecksum(bytes: Buffer, start: number): void {
  const ip = start + ethernetHeader;
  if (bytes.length < ip + 20 || bytes.readUInt16BE(ip - 2) !== ipv4) return;
  const end = ip + bytes.readUInt16BE(ip + 2);
  const header = ip + ((bytes[ip] as number) & 0xf) * 4;
  const protocol = bytes[ip + 9] as number;
  const place = places[protocol];
  // A fragment was summed before it was cut.
  const isFragment = (bytes.readUInt16BE(ip + 6) & 0x3fff) !== 0;
  if (place === undefined || isFragment || end > bytes.length || header + place + 2 > end) return;
  bytes.writeUInt16BE(0, header + place);
  const pseudoHeader = sum(bytes, ip + 12, ip + 20, protocol + end - header);
  let total = sum(bytes, header, end, pseudoHeader);
  while (total > 0xffff) total = (total >>> 16) + (total & 0xffff);
  // RFC 768: a sum of zero is sent as all ones, for zero means that there is none.
  bytes.writeUInt16BE(~total & 0xffff || 0xffff, header + place);
}
