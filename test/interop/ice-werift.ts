/** werift's ICE agent, which is all in TypeScript: datagrams pass it without DTLS. */
import { Candidate, Connection } from "werift";
import type { IceRole } from "../../src/core/ice/config.ts";
import { until } from "../support/until.ts";
import { candidatesIn, credentialsIn, type IcePeer, type Policy, relayAddress, user } from "./ice-peer.ts";

export interface WeriftOptions {
  readonly address: string;
  readonly role: IceRole;
  readonly policy: Policy;
  /** Port of a TURN server. */
  readonly port?: number;
}

export class Werift implements IcePeer, AsyncDisposable {
  /** What came to it. */
  readonly heard: string[] = [];
  readonly #connection: Connection;
  readonly #lines: string[] = [];
  readonly #gathering: Promise<void>;
  #isGathered = false;
  #failure: unknown;

  static start(options: WeriftOptions): Werift {
    return new Werift(options);
  }

  private constructor({ address, role, policy, port }: WeriftOptions) {
    this.#connection = new Connection(role === "controlling", {
      additionalHostAddresses: [address],
      interfaceAddresses: { udp4: address },
      useIpv6: false,
      useTcp: false,
      // Without one it asks a public server.
      stunServer: [relayAddress, port ?? 9],
      stunGatherTimeout: 0.1,
      forceTurn: policy === "relay",
      ...(port !== undefined && {
        turnServer: [relayAddress, port],
        turnUsername: user.name,
        turnPassword: user.password,
      }),
    });
    this.#connection.onData.subscribe((data) => this.heard.push(data.toString()));
    this.#connection.onIceCandidate.subscribe((candidate) => {
      // Every socket is bound to `address`, and it tells the host's other addresses as well.
      if (candidate.type !== "host" || candidate.host === address) this.#lines.push(`candidate:${candidate.toSdp()}`);
    });
    this.#gathering = this.#connection.gatherCandidates().then(() => {
      this.#isGathered = true;
    });
  }

  get role(): IceRole {
    return this.#connection.iceControlling ? "controlling" : "controlled";
  }

  /** Types of the selected pair's candidates: its own, and ours as it sees it. */
  get selected(): readonly [own: string, ours: string] | undefined {
    const pair = this.#connection.nominated;
    return pair && [pair.localCandidate.type, pair.remoteCandidate.type];
  }

  async description({ whole }: { whole: boolean }): Promise<string> {
    if (whole) await until("werift to gather", () => this.#isGathered);
    const { localUsername, localPassword } = this.#connection;
    const candidates = whole ? this.#lines : [];
    return [`ice-ufrag:${localUsername}`, `ice-pwd:${localPassword}`, ...candidates]
      .map((line) => `a=${line}\r\n`)
      .join("");
  }

  async eachCandidate(tell: (line: string) => void): Promise<void> {
    let told = 0;
    await until("werift to gather", () => {
      const isEnd = this.#isGathered;
      for (; told < this.#lines.length; told++) tell(this.#lines[told]!);
      return isEnd;
    });
    tell("end-of-candidates");
  }

  describe(text: string): void {
    const { ufrag, password } = credentialsIn(text);
    this.#connection.setRemoteParams({ iceLite: false, usernameFragment: ufrag, password });
    for (const line of candidatesIn(text)) this.candidate(line);
    // It gives up at once where it has none of its own to pair, and so begins when it has gathered, as its RTCPeerConnection does.
    this.#gathering.then(() => this.#connection.connect()).catch((failure) => (this.#failure = failure));
  }

  candidate(line: string): void {
    const isEnd = line === "end-of-candidates";
    void this.#connection.addRemoteCandidate(
      isEnd ? undefined : Candidate.fromSdp(line.replace(/^(a=)?candidate:/, "")),
    );
  }

  connected(): Promise<unknown> {
    return until("werift to connect", () => {
      if (this.#failure !== undefined) throw this.#failure;
      return this.#connection.state === "connected";
    });
  }

  send(text: string): void {
    void this.#connection.send(Buffer.from(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}
