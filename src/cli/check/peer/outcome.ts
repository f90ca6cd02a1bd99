/** What became of the two machines: the path, why it is that one, what it is worth, and what would make it better. */

import type { Reason } from "../../../core/ice/reasons.ts";
import type { IceReport } from "../../../core/ice/report.ts";
import type { EchoFigures } from "../../../core/media/probe-stream.ts";
import type { Quality } from "../quality.ts";
import { judgeQuality } from "../quality.ts";
import type { End } from "./end.ts";
import type { Heard } from "./speech.ts";

export interface Outcome {
  readonly outcome: "direct" | "relayed" | "failed";
  readonly reason: Reason;
  readonly own: End;
  readonly peer: End;
  /** Milliseconds from when both descriptions were here. */
  readonly took: number;
  readonly speech: SpeechFigures | undefined;
  readonly quality: Quality | undefined;
  /** Why there is no direct path, and what would help; none where there is. */
  readonly advice: readonly string[];
  readonly report: IceReport;
}

export interface SpeechFigures extends EchoFigures {
  /** What the other end has heard; undefined: it has not told. */
  readonly heardThere: Heard | undefined;
  readonly heardHere: Heard;
}

/** Of the two ways of the echo what the other end has told is one. */
export function figuresOf(echo: EchoFigures, heardHere: Heard, heardThere: Heard | undefined): SpeechFigures {
  const lostThere =
    heardThere === undefined ? echo.lost : Math.min(echo.lost, Math.max(0, echo.sent - heardThere.packets));
  return {
    ...echo,
    there: { lost: lostThere, transit: undefined },
    back: { lost: echo.lost - lostThere, transit: undefined },
    heardThere,
    heardHere,
  };
}

export function qualityOf(speech: SpeechFigures): Quality | undefined {
  const jitter = Math.max(speech.heardThere?.jitter ?? 0, speech.heardHere.jitter);
  return judgeQuality({ ...speech, there: { ...speech.there, transit: { jitter } } });
}
