/** Every decoder that is fuzzed. */
import { configTarget } from "./config.ts";
import { channelDataTarget, framingTarget } from "./framing.ts";
import { iceTarget } from "./ice.ts";
import { mediaTarget } from "./media.ts";
import { relayTarget } from "./relay.ts";
import { sdpTarget } from "./sdp.ts";
import { sipEdgeTarget } from "./sip-edge.ts";
import { sipMessageTarget } from "./sip-message.ts";
import { stunTarget } from "./stun.ts";
import type { Target } from "./target.ts";
import { addressTarget, base64Target, nonceTarget, opaqueStringTarget, uriTarget, utf8Target } from "./text.ts";
import { turnClientTarget } from "./turn-client.ts";

export const targets: readonly Target[] = [
  stunTarget,
  framingTarget,
  channelDataTarget,
  addressTarget,
  utf8Target,
  base64Target,
  opaqueStringTarget,
  nonceTarget,
  uriTarget,
  configTarget,
  turnClientTarget,
  iceTarget,
  sipMessageTarget,
  sipEdgeTarget,
  sdpTarget,
  mediaTarget,
  relayTarget,
];
