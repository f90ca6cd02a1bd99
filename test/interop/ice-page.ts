/**
 * A page whose RTCPeerConnection meets an ICE agent that has no DTLS: with a data channel offered or accepted, and a
 * fingerprint that nobody has. ICE connects; what the browser sends then is the beginning of its DTLS handshake.
 */
import type { Page } from "playwright-core";
import type { IceRole } from "../../src/core/ice/config.ts";
import { until } from "../support/until.ts";
import { type IcePeer, type Policy, sessionAround } from "./ice-peer.ts";

export interface PageOptions {
  /** Who offers is controlling. */
  readonly role: IceRole;
  readonly policy: Policy;
  readonly iceServers: RTCIceServer[];
}

interface IceWindow extends Window {
  call: RTCPeerConnection;
  states: string[];
  tell(line: string): Promise<void>;
}
declare const window: IceWindow;

export class IcePage implements IcePeer {
  readonly #page: Page;
  readonly #role: IceRole;
  readonly #lines: string[];

  static async open(page: Page, options: PageOptions): Promise<IcePage> {
    const lines: string[] = [];
    await page.exposeFunction("tell", (line: string) => void lines.push(line));
    await page.evaluate(prepare, options);
    if (options.role === "controlling") await page.evaluate(offer);
    return new IcePage(page, options.role, lines);
  }

  private constructor(page: Page, role: IceRole, lines: string[]) {
    this.#page = page;
    this.#role = role;
    this.#lines = lines;
  }

  description({ whole }: { whole: boolean }): Promise<string> {
    return this.#page.evaluate(readDescription, whole);
  }

  /** Our answer to its offer, or our offer. */
  describe(ice: string): Promise<void> {
    return this.#role === "controlling" ? this.takeAnswer(ice) : this.takeOffer(ice);
  }

  /** Its offer with other credentials, and with all candidates; `takeAnswer` has to follow. */
  async restart(): Promise<string> {
    await this.#page.evaluate(restart);
    return this.description({ whole: true });
  }

  takeAnswer(ice: string): Promise<void> {
    return this.#page.evaluate(takeAnswer, sessionAround(ice, "passive"));
  }

  /** Takes an offer of ours and answers, whoever was first. */
  takeOffer(ice: string): Promise<void> {
    return this.#page.evaluate(answer, sessionAround(ice, "actpass"));
  }

  candidate(line: string): void {
    // The page may be closing by now.
    this.#page.evaluate(addCandidate, line).catch(() => {});
  }

  async eachCandidate(tell: (line: string) => void): Promise<void> {
    let told = 0;
    await until("the browser to gather", () => {
      for (; told < this.#lines.length; told++) tell(this.#lines[told]!);
      return this.#lines.includes("end-of-candidates");
    });
  }

  /** `iceConnectionState`, each that it had. */
  states(): Promise<string[]> {
    return this.#page.evaluate(() => window.states);
  }

  /** Of which types our candidates are, to it. */
  remoteTypes(): Promise<string[]> {
    return this.#page.evaluate(readRemoteTypes);
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

async function offer(): Promise<void> {
  window.call.createDataChannel("ice");
  await window.call.setLocalDescription();
}

async function restart(): Promise<void> {
  window.call.restartIce();
  await window.call.setLocalDescription();
}

async function readDescription(whole: boolean): Promise<string> {
  const { call } = window;
  while (whole && call.iceGatheringState !== "complete") {
    await new Promise((resolve) => (call.onicegatheringstatechange = resolve));
  }
  return call.localDescription!.sdp;
}

async function takeAnswer(sdp: string): Promise<void> {
  await window.call.setRemoteDescription({ type: "answer", sdp });
}

async function answer(sdp: string): Promise<void> {
  await window.call.setRemoteDescription({ type: "offer", sdp });
  await window.call.setLocalDescription();
}

async function readRemoteTypes(): Promise<string[]> {
  const types: string[] = [];
  (await window.call.getStats()).forEach((report) => {
    if (report.type === "remote-candidate") types.push(report.candidateType);
  });
  return types;
}

async function addCandidate(line: string): Promise<void> {
  await window.call.addIceCandidate({ candidate: line === "end-of-candidates" ? "" : line, sdpMid: "0" });
}
