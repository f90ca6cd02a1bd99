/**
 * node-datachannel: libdatachannel, whose ICE agent is libjuice. It has no datagrams without DTLS and SCTP, so its words pass
 * through two of it and two of ours: each of ours meets one of it, and hands on what it hears to the other of ours.
 */
import type { DataChannel, PeerConnection } from "node-datachannel";
import type { IceRole } from "../../src/core/ice/config.ts";
import { until } from "../support/until.ts";
import { candidatesIn, type IcePeer, type Policy, relayAddress, sessionAround, user } from "./ice-peer.ts";

export interface NodeDataChannelOptions {
  readonly address: string;
  /** Who offers is controlling. */
  readonly role: IceRole;
  readonly policy: Policy;
  /** Port of a TURN server. */
  readonly port?: number;
}

export class NodeDataChannel implements IcePeer, Disposable {
  /** What came to it. */
  readonly heard: string[] = [];
  readonly #connection: PeerConnection;
  readonly #role: IceRole;
  #channel: DataChannel | undefined;

  static async start({ address, role, policy, port }: NodeDataChannelOptions): Promise<NodeDataChannel> {
    // Not before it is known that there is a binary.
    const binding = await import("node-datachannel");
    const turn = { hostname: relayAddress, port: port ?? 0, username: user.name, password: user.password };
    const connection = new binding.PeerConnection(role, {
      bindAddress: address,
      iceServers: port === undefined ? [] : [{ ...turn, relayType: "TurnUdp" }],
      iceTransportPolicy: policy,
      // The two do not meet, and so do not know each other's.
      disableFingerprintVerification: true,
    });
    return new NodeDataChannel(connection, role);
  }

  private constructor(connection: PeerConnection, role: IceRole) {
    this.#connection = connection;
    this.#role = role;
    connection.onDataChannel((channel) => this.#use(channel));
    if (role === "controlling") this.#use(connection.createDataChannel("words"));
  }

  #use(channel: DataChannel): void {
    channel.onMessage((words) => this.heard.push(String(words)));
    this.#channel = channel;
  }

  /** The selected pair's types of candidates: its own, and ours as it sees it. */
  get selected(): readonly [own: string, ours: string] | undefined {
    const pair = this.#connection.getSelectedCandidatePair();
    return pair ? [pair.local.type, pair.remote.type] : undefined;
  }

  /** The candidates that it tells. */
  get told(): string[] {
    return candidatesIn(this.#sdp).filter((line) => line !== "end-of-candidates");
  }

  async description({ whole }: { whole: boolean }): Promise<string> {
    const sdp = await until("node-datachannel's description", () => (!whole || this.#isGathered) && this.#sdp);
    return whole ? sdp : sdp.replace(/^a=(candidate:.*|end-of-candidates)\r\n/gm, "");
  }

  async eachCandidate(tell: (line: string) => void): Promise<void> {
    const told = new Set<string>();
    await until("node-datachannel to gather", () => {
      const isEnd = this.#isGathered;
      // Its callbacks come from a thread, and may come after the state that they precede.
      for (const line of candidatesIn(this.#sdp).filter((one) => !told.has(one))) {
        told.add(line);
        tell(line);
      }
      return isEnd;
    });
  }

  get #isGathered(): boolean {
    return this.#connection.gatheringState() === "complete";
  }

  get #sdp(): string {
    return this.#connection.localDescription()?.sdp ?? "";
  }

  describe(text: string): void {
    const [setup, type] =
      this.#role === "controlling" ? (["active", "answer"] as const) : (["actpass", "offer"] as const);
    this.#connection.setRemoteDescription(sessionAround(text, setup), type);
  }

  candidate(line: string): void {
    // It has no word for the end.
    if (line === "end-of-candidates") return;
    this.#connection.addRemoteCandidate(`a=${line.replace(/^a=/, "")}`, "0");
  }

  /** When DTLS and SCTP are done. */
  opened(): Promise<unknown> {
    return until("node-datachannel's channel", () => this.#channel?.isOpen(), { within: 60_000 });
  }

  send(text: string): void {
    this.#channel?.sendMessage(text);
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}
