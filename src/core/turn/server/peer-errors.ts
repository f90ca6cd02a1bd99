/** ICMP messages about datagrams that were relayed to peers: the client is told, and decides. */
import type { PeerAddress } from "../../base/address.ts";
import type { Instant } from "../../base/machine.ts";
import { TokenBucket } from "../../base/token-bucket.ts";
import { Attribute, MessageClass, Method } from "../../stun/registry.ts";
import { messageId } from "../../stun/writer.ts";
import { encodeIcmp, type IcmpError } from "../icmp.ts";
import { type Allocation, findPermission, type Relay } from "./allocation.ts";
import type { ServerState } from "./state.ts";

/** Told to one client, a second and at once: a peer that is gone answers every datagram. */
const budget = { rate: 10, burst: 10 };

/** Destination unreachable and time exceeded; destination unreachable, packet too big and time exceeded. */
const types = { 4: [3, 11], 6: [1, 2, 3] } as const;

/** How many more each client may be told of. */
export class ErrorBudget {
  readonly #buckets = new WeakMap<Allocation, TokenBucket>();

  take(allocation: Allocation, now: Instant): boolean {
    let bucket = this.#buckets.get(allocation);
    if (bucket === undefined) {
      bucket = new TokenBucket(budget, now);
      this.#buckets.set(allocation, bucket);
    }
    return bucket.take(1, now);
  }
}

/** `to`: where the datagram was going that could not be delivered. */
export function handlePeerError(
  state: ServerState,
  to: PeerAddress,
  { allocation }: Relay,
  error: IcmpError,
  now: Instant,
): void {
  // RFC 8656 §11.5: other types, and what is about no allocation's datagram, are silently dropped.
  if (!(types[to.family] as readonly number[]).includes(error.type)) return state.drop("unexpected");
  if (allocation === undefined || allocation.state !== "live") return state.drop("no-allocation");
  // RFC 8656 §11.5: the permission is the destination's, not that of whoever has sent the ICMP message.
  if (findPermission(allocation, to) === undefined) return state.drop("no-permission");
  if (!state.errorBudget.take(allocation, now)) return state.drop("over-budget");
  const { writer, ports, outputs } = state;
  writer
    .begin(Method.Data, MessageClass.Indication, messageId(ports.random.bytes(12)))
    .xorAddress(Attribute.XorPeerAddress, to)
    .bytes(Attribute.Icmp, encodeIcmp(to.family, error));
  outputs.push({ kind: "send", to: allocation.path, data: writer.finish() });
}
