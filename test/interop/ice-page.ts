/**
 * A page whose RTCPeerConnection meets an ICE agent that has no DTLS: with a data channel offered or accepted, and a
 * fingerprint that nobody has. ICE connects; what the browser sends then is the beginning of its DTLS handshake.
 */
import type { Page } from "playwright-core";

export interface PageOptions {
  readonly policy: RTCIceTransportPolicy;
  readonly iceServers: RTCIceServer[];
}

interface IceWindow extends Window {
  call: RTCPeerConnection;
  states: string[];
  tell(line: string): Promise<void>;
}
declare const window: IceWindow;

/** RFC 8122 §5: of no certificate. */
const fingerprint = `sha-256 ${Array.from({ length: 32 }, () => "AB").join(":")}`;

/** Around our lines of ICE, the data channel's section (RFC 8841). `setup`: who begins the DTLS handshake. */
function sessionAround(ice: string, setup: "actpass" | "passive"): string {
  return [
    ...["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"],
    ...["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:0", "a=sctp-port:5000"],
    ...[`a=fingerprint:${fingerprint}`, `a=setup:${setup}`],
    ice,
  ]
    .map((line) => line.replace(/(\r\n)?$/, "\r\n"))
    .join("");
}

export class IcePage {
  readonly #page: Page;

  /** `onCandidate` hears of each candidate, and last of `end-of-candidates`. */
  static async open(page: Page, options: PageOptions, onCandidate: (line: string) => void): Promise<IcePage> {
    await page.exposeFunction("tell", onCandidate);
    await page.evaluate(prepare, options);
    return new IcePage(page);
  }

  private constructor(page: Page) {
    this.#page = page;
  }

  /** The page's offer; `whole`: with all candidates. */
  offer({ whole }: { whole: boolean }): Promise<string> {
    return this.#page.evaluate(makeOffer, whole);
  }

  /** Gives it our answer. */
  takeAnswer(ice: string): Promise<void> {
    return this.#page.evaluate(takeAnswer, sessionAround(ice, "passive"));
  }

  /** Gives it our offer; resolves with its answer. */
  answer(ice: string, { whole }: { whole: boolean }): Promise<string> {
    return this.#page.evaluate(makeAnswer, { sdp: sessionAround(ice, "actpass"), whole });
  }

  addCandidate(line: string): Promise<void> {
    return this.#page.evaluate(addCandidate, line);
  }

  /** `iceConnectionState`, each that it had. */
  states(): Promise<string[]> {
    return this.#page.evaluate(() => window.states);
  }

  async close(): Promise<void> {
    await this.#page.evaluate(() => window.call.close());
    await this.#page.context().close();
  }
}

// From here on everything runs inside a page, and may refer to nothing outside itself.

function prepare({ policy, iceServers }: PageOptions): void {
  const call = new RTCPeerConnection({ iceServers, iceTransportPolicy: policy });
  window.call = call;
  window.states = [];
  call.oniceconnectionstatechange = () => window.states.push(call.iceConnectionState);
  call.onicecandidate = ({ candidate }) => void window.tell(candidate?.candidate || "end-of-candidates");
}

async function makeOffer(whole: boolean): Promise<string> {
  const { call } = window;
  call.createDataChannel("ice");
  await call.setLocalDescription();
  while (whole && call.iceGatheringState !== "complete") {
    await new Promise((resolve) => (call.onicegatheringstatechange = resolve));
  }
  return call.localDescription!.sdp;
}

async function takeAnswer(sdp: string): Promise<void> {
  await window.call.setRemoteDescription({ type: "answer", sdp });
}

async function makeAnswer({ sdp, whole }: { sdp: string; whole: boolean }): Promise<string> {
  const { call } = window;
  await call.setRemoteDescription({ type: "offer", sdp });
  await call.setLocalDescription();
  while (whole && call.iceGatheringState !== "complete") {
    await new Promise((resolve) => (call.onicegatheringstatechange = resolve));
  }
  return call.localDescription!.sdp;
}

async function addCandidate(line: string): Promise<void> {
  await window.call.addIceCandidate({ candidate: line === "end-of-candidates" ? "" : line, sdpMid: "0" });
}
