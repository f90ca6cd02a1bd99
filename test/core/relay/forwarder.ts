/**
 * A datapath that forwards what the relay leaves to it, as the program in the kernel does: every packet that it may is taken,
 * and told of later. It sees to it that nothing is left to it that has changed.
 */
import assert from "node:assert/strict";
import { type Address, formatAddress, sameAddress } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import type { MediaFlow } from "../../../src/core/relay/media-flow.ts";
import type { PortId, Route } from "../../../src/core/relay/outputs.ts";
import type { SessionReport } from "../../../src/core/relay/report.ts";
import { RtpSource } from "../rtp/rtp-source.ts";

interface Forwarded {
  readonly flow: MediaFlow;
  readonly source: RtpSource;
  packets: number;
  bytes: number;
  lastAt: Instant;
}

export class Forwarder {
  readonly #flows: Map<MediaFlow, Forwarded> = new Map();
  /** Ever. */
  packets = 0;

  get size(): number {
    return this.#flows.size;
  }

  offload(flow: MediaFlow): void {
    assert.ok(!this.#flows.has(flow), "nothing is left to it twice");
    const { ssrc, payloadTypes, clockRate, highest, jitter } = flow.traits;
    const types = Array.from({ length: 128 }, (_, type) => type).filter(
      (type) => (payloadTypes[type >> 5]! >>> (type & 31)) & 1,
    );
    const source = new RtpSource(ssrc, types, clockRate, highest);
    source.scaledJitter = BigInt(Math.round((jitter * clockRate * 16) / 1_000));
    this.#flows.set(flow, { flow, source, packets: 0, bytes: 0, lastAt: 0 as Instant });
  }

  withdraw(flow: MediaFlow): void {
    const forwarded = this.#flows.get(flow);
    assert.ok(forwarded !== undefined, "what is taken back was there");
    this.#flows.delete(flow);
    tell(forwarded);
  }

  /** Undefined: that goes up. */
  forward(data: Uint8Array, from: Readonly<Address>, port: PortId, now: Instant): Route | undefined {
    for (const forwarded of this.#flows.values()) {
      const { flow, source } = forwarded;
      if (flow.arrival.port !== port || !sameAddress(flow.arrival.remote, from)) continue;
      if (!source.isMedia(data)) return undefined;
      source.observe(data, BigInt(Math.round(now * 1e6)));
      forwarded.packets++;
      forwarded.bytes += data.length;
      forwarded.lastAt = now;
      this.packets++;
      return flow.departure;
    }
    return undefined;
  }

  tell(): void {
    for (const forwarded of this.#flows.values()) tell(forwarded);
  }

  /** What it may forward comes from where a party is, goes to where the other is, and both want it so. */
  verify(reports: readonly SessionReport[], open: ReadonlyMap<PortId, Readonly<Address>>): void {
    for (const { arrival, departure } of this.#flows.keys()) {
      const streams = reports.flatMap(({ legs }) =>
        legs.flatMap((leg) => leg.streams.map((stream) => ({ leg, stream }))),
      );
      const at = (port: PortId) => {
        const local = open.get(port) ?? assert.fail("its sockets are open");
        const found = streams.find(({ stream }) => stream.media.local?.port === local.port);
        return found ?? assert.fail(`nobody has ${formatAddress(local)}`);
      };
      const [from, to] = [at(arrival.port), at(departure.port)];
      assert.equal(from.leg.hears, to.leg.leg);
      assert.equal(from.stream.media.by, "learned");
      assert.equal(formatAddress(from.stream.media.remote!), formatAddress(arrival.remote));
      assert.equal(formatAddress(to.stream.media.remote!), formatAddress(departure.remote));
      assert.ok(!from.stream.isRefused && !to.stream.isHeld);
    }
  }
}

function tell(forwarded: Forwarded): void {
  const { flow, source, packets, bytes, lastAt } = forwarded;
  const jitter = (Number(source.scaledJitter) * 1_000) / (source.clockRate * 16);
  const highest = source.highest % 2 ** 32;
  if (packets > 0) flow.handleForwarded({ packets, bytes, lastAt, highest, jitter, payloadType: source.payloadType });
  forwarded.packets = 0;
  forwarded.bytes = 0;
}
