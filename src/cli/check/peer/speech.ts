/**
 * Speech on a path, both ways at once: each end sends numbered packets as a call does, and sends back those of the other.
 * Whose packet it is its source tells, which both ends know from their descriptions.
 */
import { hash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { EchoFigures } from "../../../core/media/probe-stream.ts";
import { TransitMeter } from "../../../core/media/transit-meter.ts";
import { decodeVoicePacket, encodeVoicePacket, VOICE_PACKET_INTERVAL } from "../../../core/media/voice-packet.ts";
import { monotonicNow } from "../../../node/clock.ts";
import { measureEcho, type ProbePath } from "../../../node/probe-run.ts";

/** What one end heard of the other. */
export interface Heard {
  readonly packets: number;
  /** Milliseconds. */
  readonly jitter: number;
}

export interface SpeechOptions {
  /** The descriptions that both ends know. */
  readonly own: string;
  readonly peer: string;
  readonly send: (data: Uint8Array) => unknown;
}

/** No stream has more packets, which is 46 hours; their timestamps do not wrap before. */
const mostPackets = 0x800000;
/** A packet that takes longer is lost, as it is to a call. */
const patience = 1_000;

export class Speech implements ProbePath {
  onBack: (sequence: number) => void = () => {};
  readonly #send: SpeechOptions["send"];
  readonly #source: number;
  readonly #peerSource: number;
  readonly #heard: Set<number> = new Set();
  readonly #transit = new TransitMeter();
  #last = 0;
  #heardAt = 0;

  constructor({ own, peer, send }: SpeechOptions) {
    this.#send = send;
    this.#source = sourceOf(own);
    this.#peerSource = sourceOf(peer);
  }

  send(sequence: number): void {
    this.#last = sequence;
    this.#send(encodeVoicePacket(this.#source, sequence));
  }

  /** False: it is no speech. */
  handleData(data: Uint8Array): boolean {
    const back = decodeVoicePacket(this.#source, data, this.#last);
    if (back !== undefined) this.onBack(back);
    const sequence = decodeVoicePacket(this.#peerSource, data, mostPackets);
    if (sequence !== undefined) this.#hear(sequence);
    return back !== undefined || sequence !== undefined;
  }

  #hear(sequence: number): void {
    const now = monotonicNow();
    this.#heardAt = now;
    // Once each: what is doubled on the way is not multiplied here.
    if (this.#heard.has(sequence)) return;
    this.#heard.add(sequence);
    // The clocks of the ends differ by what cancels out in differences.
    this.#transit.add(now - sequence * VOICE_PACKET_INTERVAL);
    this.#send(encodeVoicePacket(this.#peerSource, sequence));
  }

  /** Speaks for so many seconds, and stays until the other end is silent too. Rejects with the signal's reason. */
  async speak(seconds: number, signal: AbortSignal, onSecond: (second: number) => void): Promise<EchoFigures> {
    const packets = Math.ceil((seconds * 1_000) / VOICE_PACKET_INTERVAL);
    let settled = 0;
    const onSettled = (): void => {
      if (++settled % (1_000 / VOICE_PACKET_INTERVAL) === 0) onSecond(settled / (1_000 / VOICE_PACKET_INTERVAL));
    };
    const figures = await measureEcho(
      this,
      { packets, interval: VOICE_PACKET_INTERVAL, patience },
      { signal, onSettled },
    );
    for (;;) {
      const quiet = monotonicNow() - this.#heardAt;
      if (quiet >= patience) return figures;
      await pause(patience - quiet, undefined, { signal });
    }
  }

  /** What was heard since the last call. */
  take(): Heard {
    const packets = this.#heard.size;
    this.#heard.clear();
    return { packets, jitter: this.#transit.take()?.jitter ?? 0 };
  }
}

function sourceOf(description: string): number {
  return hash("sha256", description, "buffer").readUInt32BE(0);
}
