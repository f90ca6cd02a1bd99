/** Which relay ports one of several workers has. */
import { PosternError } from "../../core/base/failure.ts";
import type { PortRange } from "../../core/base/relay-places.ts";

/**
 * The `index`th of `count` parts of the relay ports. Parts begin with an even port, so that no pair of ports is cut in two
 * (RFC 8656 §7.2). Throws `PosternError` `too-few-relay-ports`.
 */
export function portShare({ min, max }: PortRange, index: number, count: number): PortRange {
  const pairs = Math.floor((max + 1) / 2) - Math.ceil(min / 2);
  if (pairs < count) {
    throw new PosternError(
      "too-few-relay-ports",
      `${max - min + 1} relay ports are too few for ${count} workers: give relay-ports more, or shards less.`,
    );
  }
  const start = (part: number) => 2 * (Math.ceil(min / 2) + Math.floor((pairs * part) / count));
  return { min: index === 0 ? min : start(index), max: index === count - 1 ? max : start(index + 1) - 1 };
}

/** The relay ports that clients on UDP can have: the parts of the first `shards` workers. */
export function udpPorts(range: PortRange, count: number, shards: number): PortRange {
  return { min: range.min, max: portShare(range, shards - 1, count).max };
}
