/** A firewall that reads for whom a TLS connection is, as those do that block services by name. */
import { concatBytes, readU16 } from "../../core/base/bytes.ts";
import { decodeHello } from "../tls/hello.ts";
import type { Firewall } from "./firewall.ts";
import { ofStreams, type Reader, Streams } from "./streams.ts";

const HEADER = 5;

function reader(names: ReadonlySet<string>): Reader {
  let head: Uint8Array | undefined = new Uint8Array(0);
  return (bytes) => {
    if (head === undefined) return true;
    head = concatBytes(head, bytes);
    const end = head.length < HEADER ? Number.POSITIVE_INFINITY : HEADER + readU16(head, 3);
    if (head.length < end && head[0] === 0x16) return true;
    const name = decodeHello(head.subarray(HEADER, end))?.serverName;
    head = undefined;
    return name === undefined || !names.has(name.toLowerCase());
  };
}

/**
 * Stops TLS to servers of these names, read from the client's hello (RFC 6066 §3), however segments cut it. As with many
 * such boxes a hello in more than one record gets through.
 */
export function withoutServerNames(...names: readonly string[]): Firewall {
  const unwanted = new Set(names.map((name) => name.toLowerCase()));
  return ofStreams(new Streams(() => reader(unwanted)));
}
