/**
 * A video call between two pages. Each page offers its microphone and its camera; session
 * descriptions and candidates pass through this process, one at a time and in order, as through a web application.
 */
import type { Page } from "playwright-core";
import { until } from "../support/until.ts";

export interface CallServer {
  readonly urls: string | string[];
  readonly username: string;
  readonly credential: string;
}

/** One side's view of the call, from `getStats()`. */
export interface CallStats {
  readonly connection: string;
  readonly local: { type: string; relayProtocol: string; address: string; url: string };
  readonly remote: { type: string; address: string };
  /** By kind: "audio", "video". `decoded` counts frames, or the sound's energy. */
  readonly inbound: Record<string, { bytes: number; codec: string; decoded: number }>;
  /** What went wrong while candidates were gathered. */
  readonly errors: string[];
}

type Signal = { description: RTCSessionDescriptionInit } | { candidate: RTCIceCandidateInit };

interface CallWindow extends Window {
  send(signal: Signal): Promise<void>;
  call: RTCPeerConnection;
  errors: string[];
}
declare const window: CallWindow;

export class BrowserCall {
  readonly caller: Page;
  readonly callee: Page;

  constructor(caller: Page, callee: Page) {
    this.caller = caller;
    this.callee = callee;
  }

  /** `policy` is `relay` where the pages may use nothing else. */
  async start(server: CallServer, policy: RTCIceTransportPolicy): Promise<void> {
    await connectSignaling(this.caller, this.callee);
    await connectSignaling(this.callee, this.caller);
    for (const page of [this.callee, this.caller]) await page.evaluate(prepare, { server, policy });
    await this.caller.evaluate(offer);
  }

  stats(): Promise<[CallStats, CallStats]> {
    return Promise.all([this.caller.evaluate(readStats), this.callee.evaluate(readStats)]);
  }

  /** Waits until voice and video arrive on both sides, and then go on arriving; resolves with what both sides saw. */
  async flowing(): Promise<readonly [CallStats, CallStats]> {
    const first = await this.#until("voice and video on both sides", (sides) => sides.every(hasMedia), 60_000);
    const grown = (sides: readonly CallStats[]) => sides.every((side, i) => hasGrown(first[i]!, side));
    return this.#until("more voice and video on both sides", grown, 60_000);
  }

  async #until(what: string, holds: (sides: readonly CallStats[]) => boolean, within: number) {
    const ask = async () => {
      const sides = await this.stats();
      if (!holds(sides)) throw new Error(JSON.stringify(sides));
      return sides;
    };
    return until(what, ask, { within });
  }

  async end(): Promise<void> {
    for (const page of [this.caller, this.callee]) {
      await page.evaluate(() => window.call?.close());
      await page.context().close();
    }
  }
}

function hasMedia({ connection, inbound: { audio, video } }: CallStats): boolean {
  return connection === "connected" && [audio, video].every((media) => media && media.bytes > 0 && media.decoded > 0);
}

function hasGrown(before: CallStats, now: CallStats): boolean {
  return ["audio", "video"].every((kind) => now.inbound[kind]!.bytes > before.inbound[kind]!.bytes + 1_000);
}

async function connectSignaling(from: Page, to: Page): Promise<void> {
  let order: Promise<unknown> = Promise.resolve();
  await from.exposeFunction("send", (signal: Signal) => {
    order = order.then(() => to.evaluate(receive, signal));
    return order;
  });
}

// From here on everything runs inside a page, and may refer to nothing outside itself.

interface Preparation {
  server: CallServer;
  policy: RTCIceTransportPolicy;
}

async function prepare({ server, policy }: Preparation): Promise<void> {
  const call = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: policy });
  window.call = call;
  window.errors = [];
  call.onicecandidate = ({ candidate }) => {
    if (candidate?.candidate) void window.send({ candidate: candidate.toJSON() });
  };
  call.onicecandidateerror = ({ errorCode, errorText }) => window.errors.push(`${errorCode} ${errorText}`);
  // What nobody plays is not decoded.
  call.ontrack = ({ track }) => {
    const player = document.createElement(track.kind === "audio" ? "audio" : "video");
    player.srcObject = new MediaStream([track]);
    void player.play();
  };
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
  for (const track of media.getTracks()) call.addTrack(track, media);
  const videos = call.getTransceivers().filter(({ sender }) => sender.track?.kind === "video");
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  for (const video of videos) video.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType === "video/VP8"));
}

async function offer(): Promise<void> {
  await window.call.setLocalDescription(await window.call.createOffer());
  await window.send({ description: window.call.localDescription!.toJSON() });
}

async function receive(signal: Signal): Promise<void> {
  const { call } = window;
  if ("candidate" in signal) return call.addIceCandidate(signal.candidate);
  await call.setRemoteDescription(signal.description);
  if (signal.description.type !== "offer") return;
  await call.setLocalDescription(await call.createAnswer());
  await window.send({ description: call.localDescription!.toJSON() });
}

async function readStats(): Promise<CallStats> {
  // biome-ignore lint/suspicious/noExplicitAny: the DOM's types know few of the fields of a report.
  const reports = new Map<string, any>(await window.call.getStats());
  const all = [...reports.values()];
  const transport = all.find(({ type }) => type === "transport");
  const pair = reports.get(transport?.selectedCandidatePairId);
  const local = reports.get(pair?.localCandidateId);
  const remote = reports.get(pair?.remoteCandidateId);
  const inbound: CallStats["inbound"] = {};
  for (const report of all.filter(({ type }) => type === "inbound-rtp")) {
    inbound[report.kind] = {
      bytes: report.bytesReceived,
      codec: reports.get(report.codecId)?.mimeType,
      decoded: report.framesDecoded ?? report.totalAudioEnergy ?? 0,
    };
  }
  return {
    connection: window.call.connectionState,
    local: {
      type: local?.candidateType,
      relayProtocol: local?.relayProtocol,
      address: local?.address,
      url: local?.url,
    },
    remote: { type: remote?.candidateType, address: remote?.address },
    inbound,
    errors: window.errors,
  };
}
