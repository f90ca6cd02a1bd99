/** Whether speech would be understood on a path, from what packets met on it. One way of the echo is one way of a call. */
import type { EchoFigures } from "../../core/media/probe-stream.ts";

/** One way: from here to the relay, and from it back to this network. */
export interface Quality {
  readonly level: "good" | "poor" | "unusable";
  /** Milliseconds: half of the median round trip. */
  readonly delay: number;
  readonly jitter: number;
  /** A fraction. */
  readonly loss: number;
  /** What a listener would notice, a sentence each; none where it is good. */
  readonly notices: readonly string[];
}

/** Concealment hides a packet in fifty. */
const HEARD_LOSS = 0.02;
const HOPELESS_LOSS = 0.2;
/** Milliseconds that the buffers of usual players even out. */
const HEARD_JITTER = 30;
/** ITU-T G.114: up to here nearly nobody notices a delay, and past the second no network should be planned. */
const NOTICED_DELAY = 150;
const LONGEST_DELAY = 400;

export function percent(fraction: number): string {
  const value = fraction * 100;
  return `${value < 10 && value > 0 ? value.toFixed(1) : Math.round(value)} %`;
}

interface Pass {
  readonly lost: number;
  readonly transit: { readonly jitter: number } | undefined;
}

/** Of an echo, or of what two ends have told each other. */
export interface Met extends Pick<EchoFigures, "sent" | "roundTrip"> {
  readonly there: Pass;
  readonly back: Pass;
}

/** Undefined when nothing came back. */
export function judgeQuality({ sent, roundTrip, there, back }: Met): Quality | undefined {
  if (roundTrip === undefined) return undefined;
  const arrived = sent - there.lost;
  const loss = Math.max(there.lost / sent, arrived === 0 ? 0 : back.lost / arrived);
  const jitter = Math.max(there.transit?.jitter ?? 0, back.transit?.jitter ?? 0);
  const delay = roundTrip.median / 2;
  const notices: string[] = [];
  if (loss > HEARD_LOSS) {
    notices.push(`Speech will break up: ${percent(loss)} of the packets are lost one way, and more than 2 % is heard.`);
  }
  if (jitter > HEARD_JITTER) {
    notices.push(
      `Speech will break up or lag: packets come ${Math.round(jitter)} ms early or late on average (jitter), and players even out about ${HEARD_JITTER} ms.`,
    );
  }
  if (delay > NOTICED_DELAY) {
    const limit =
      delay > LONGEST_DELAY ? `no more than ${LONGEST_DELAY} ms at the very most` : `${NOTICED_DELAY} ms at most`;
    notices.push(
      `People will talk over each other: ${Math.round(delay)} ms one way, of which ITU-T G.114 wants ${limit}.`,
    );
  }
  const level = loss > HOPELESS_LOSS ? "unusable" : notices.length > 0 ? "poor" : "good";
  return { level, delay, jitter, loss, notices };
}
