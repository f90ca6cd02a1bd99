/** Flows as the program in the kernel reads them. */
import type { Address } from "../../../core/base/address.ts";
import type { MediaTraits } from "../../../core/relay/media-flow.ts";
import type { BpfMap } from "../../sys/bpf.ts";
import { FLOW, FLOW_KEY, KIND } from "./program.ts";

/** What a flow's packets look like when they come: where from, where to, and on which channel (0: none). */
export interface Arrival {
  readonly local: Readonly<Address>;
  readonly remote: Readonly<Address>;
  readonly channel: number;
}

/** How they leave. */
export interface Departure extends Arrival {
  /** In the counters. */
  readonly index: number;
  /** In the buckets; 0: as many as come. */
  readonly bucket: number;
  /** Of who sends, where `bucket` is of who receives. */
  readonly otherBucket?: number;
  /** On the kernel's clock; 0 in `passed`: its next packet goes up, where any do. */
  readonly expires: bigint;
  readonly passed: bigint;
  /** RTP of one source, and nothing but that; else whatever comes. */
  readonly media?: MediaTraits | undefined;
  /** By number. */
  readonly interface: number;
  readonly mtu: number;
}

type FlowMaps = Readonly<Record<"flows" | "numbers", BpfMap>>;

function writeIp(view: DataView, at: number, { family, w0, w1, w2, w3 }: Readonly<Address>): void {
  const words = family === 4 ? [w3, 0, 0, 0] : [w0, w1, w2, w3];
  for (const [i, word] of words.entries()) view.setUint32(at + 4 * i, word);
}

function writeMedia(view: DataView, { ssrc, clockRate, payloadTypes }: MediaTraits): void {
  view.setUint8(FLOW.kind, KIND.rtp);
  view.setUint32(FLOW.ssrc, ssrc);
  view.setUint32(FLOW.clockRate, clockRate, true);
  for (const [i, types] of payloadTypes.entries()) view.setUint32(FLOW.payloadTypes + 4 * i, types, true);
}

export function encodeArrival({ local, remote, channel }: Arrival): Uint8Array {
  const bytes = new Uint8Array(FLOW_KEY.size);
  const view = new DataView(bytes.buffer);
  writeIp(view, FLOW_KEY.local, local);
  writeIp(view, FLOW_KEY.remote, remote);
  view.setUint16(FLOW_KEY.localPort, local.port);
  view.setUint16(FLOW_KEY.remotePort, remote.port);
  view.setUint16(FLOW_KEY.channel, channel);
  view.setUint16(FLOW_KEY.family, local.family, true);
  return bytes;
}

/** `key`: how it arrives, encoded. */
function encodeDeparture(key: Uint8Array, { local, remote, channel, ...rest }: Departure): Uint8Array {
  const bytes = new Uint8Array(FLOW.size);
  const view = new DataView(bytes.buffer);
  writeIp(view, FLOW.local, local);
  writeIp(view, FLOW.remote, remote);
  view.setUint32(FLOW.index, rest.index, true);
  view.setUint32(FLOW.bucket, rest.bucket, true);
  view.setUint32(FLOW.otherBucket, rest.otherBucket ?? 0, true);
  view.setBigUint64(FLOW.expires, rest.expires, true);
  view.setBigUint64(FLOW.passed, rest.passed, true);
  view.setUint32(FLOW.interface, rest.interface, true);
  view.setUint32(FLOW.mtu, rest.mtu, true);
  view.setUint16(FLOW.localPort, local.port);
  view.setUint16(FLOW.remotePort, remote.port);
  view.setUint16(FLOW.channel, channel);
  view.setUint8(FLOW.family, local.family);
  if (rest.media !== undefined) writeMedia(view, rest.media);
  bytes.set(key, FLOW.key);
  return bytes;
}

/** First what it is, and then that it is there. Throws `SystemError`. */
export function putFlow({ flows, numbers }: FlowMaps, key: Uint8Array, departure: Departure): void {
  flows.key.u32[0] = departure.index;
  flows.value.bytes.set(encodeDeparture(key, departure));
  flows.put();
  numbers.key.bytes.set(key);
  numbers.value.u32[0] = departure.index;
  numbers.put();
}
