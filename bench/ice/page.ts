/** What runs in Chromium's page in the benchmark of ICE. No function here may refer to anything outside itself. */
import type { Mark, Moment, Packet } from "./contender.ts";

interface BenchWindow extends Window {
  call: RTCPeerConnection;
  channel: RTCDataChannel;
  moments: Moment[];
  heard: Packet[];
  sent: number;
  talking: number;
  isWatched: boolean;
  mark(name: Mark): void;
  gathered(): Promise<string>;
  watchNominations(): Promise<void>;
}
declare const window: BenchWindow;

export function prepare(iceServers: RTCIceServer[]): void {
  const call = new RTCPeerConnection({ iceServers });
  const now = () => performance.timeOrigin + performance.now();
  Object.assign(window, { call, moments: [], heard: [], sent: 0, isWatched: false });
  window.mark = (mark) => window.moments.push({ mark, at: now() });
  // Before there is a connection datagrams are lost, as with the others; none is sent twice.
  window.channel = call.createDataChannel("bench", { negotiated: true, id: 1, ordered: false, maxRetransmits: 0 });
  window.channel.onmessage = ({ data }) => {
    const [number, sentAt] = String(data).split(" ");
    window.heard.push({ number: Number(number), sentAt: Number(sentAt), heardAt: now() });
  };
  call.oniceconnectionstatechange = () => {
    if (call.iceConnectionState === "connected" || call.iceConnectionState === "completed") window.mark("usable");
  };
  window.gathered = async () => {
    while (call.iceGatheringState !== "complete") {
      await new Promise((resolve) => call.addEventListener("icegatheringstatechange", resolve, { once: true }));
    }
    window.mark("gathered");
    return call.localDescription!.sdp;
  };
  // The browser makes new statistics every 50 ms.
  window.watchNominations = async () => {
    if (window.isWatched) return;
    window.isWatched = true;
    const seen = new Set<string>();
    while (call.connectionState !== "closed") {
      const stats = await call.getStats();
      const transport = [...stats.values()].find(({ type }) => type === "transport");
      const pair = stats.get(transport?.selectedCandidatePairId);
      if (pair?.nominated && !seen.has(pair.id)) window.mark("nominated");
      if (pair?.nominated) seen.add(pair.id);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
}

export async function offer(): Promise<string> {
  const { call } = window;
  const session = await call.createOffer();
  window.mark("gathering");
  await call.setLocalDescription(session);
  return window.gathered();
}

export async function restart(): Promise<string> {
  const { call } = window;
  window.mark("restart");
  await call.setLocalDescription(await call.createOffer({ iceRestart: true }));
  return window.gathered();
}

export async function answer(sdp: string): Promise<string> {
  const { call } = window;
  window.mark("met");
  await call.setRemoteDescription({ type: "offer", sdp });
  const session = await call.createAnswer();
  window.mark("gathering");
  await call.setLocalDescription(session);
  void window.watchNominations();
  return window.gathered();
}

export async function accept(sdp: string): Promise<void> {
  window.mark("met");
  await window.call.setRemoteDescription({ type: "answer", sdp });
  void window.watchNominations();
}

export async function talk(everyMs: number): Promise<void> {
  const { channel } = window;
  if (channel.readyState !== "open") await new Promise((resolve) => channel.addEventListener("open", resolve));
  window.talking = window.setInterval(() => {
    window.channel.send(`${++window.sent} ${performance.timeOrigin + performance.now()}`);
  }, everyMs);
}

export function hush(): number {
  window.clearInterval(window.talking);
  return window.sent;
}

export const moments = (): Moment[] => window.moments;
export const heard = (): Packet[] => window.heard;
export const close = (): void => window.call.close();
