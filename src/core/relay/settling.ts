/**
 * When media may be forwarded without being seen: when everything about it is settled, and has been for some packets. Such
 * a packet that comes up all the same is a surprise, and so is another source: then it is seen again, for longer each time.
 */
import type { Instant } from "../base/machine.ts";
import { receives, sends } from "../call/direction.ts";
import type { Component } from "./component.ts";
import { DEFAULT_SETTLED_AFTER } from "./config.ts";
import { MediaFlow, type MediaWay } from "./media-flow.ts";
import type { RelayState } from "./state.ts";

/** Between two packets that come up in a row. */
const ROW_MS = 1000;
/** What had come before it was left to others may have waited for so long. */
const BACKLOG_MS = 3000;
/** Over a minute of speech, where nothing else is configured. */
const MOST_PATIENCE = 512;

/** A packet of RTP was carried to `to`; `goesOn`: with what its source has sent before. */
export function noteCarried(state: RelayState, from: Component, to: Component, goesOn: boolean, now: Instant): void {
  const { flow } = from;
  if (flow !== undefined && goesOn && now - flow.since < BACKLOG_MS) return;
  // One now and then is shown to the host's connection tracking on purpose.
  const isInRow = flow === undefined || now - from.usualAt < ROW_MS;
  from.usual = !goesOn ? 0 : isInRow ? from.usual + 1 : 1;
  from.usualAt = now;
  const isEnough = from.usual >= from.patience * (state.config.settledAfter ?? DEFAULT_SETTLED_AFTER);
  if (flow !== undefined) {
    if (goesOn && !isEnough) return;
    flow.end();
    from.usual = 0;
    from.patience = Math.min(2 * from.patience, MOST_PATIENCE);
  } else if (isEnough) {
    from.usual = 0;
    const way = settledWay(from, to);
    if (way !== undefined) new MediaFlow(state, way, now);
  }
}

/** Undefined where it may yet go otherwise, or where more is done with a packet than sending it on. */
function settledWay(from: Component, to: Component): MediaWay | undefined {
  const { stream, port, endpoint } = from;
  const { route } = to;
  if (stream.carrier !== "rtp" || !stream.leg.session.isConfirmed) return undefined;
  // An echo's, or one that passes other calls here.
  if (to === from || from.opposite !== to) return undefined;
  if (port === undefined || route === undefined || endpoint === undefined) return undefined;
  if (endpoint.isProvisional || !isAgreed(from, to)) return undefined;
  return { from, to, port: port.id, endpoint, route };
}

/** Whether both want it to go this way: nothing of a call on hold is left alone. */
function isAgreed(
  { stream: { description: said } }: Component,
  { stream: { description: heard } }: Component,
): boolean {
  if (said === undefined || heard === undefined || said.isUnplaced || heard.isUnplaced) return false;
  return sends(said.direction) && receives(heard.direction);
}

/**
 * Whether the party is known to have been silent for so long. Of what is forwarded without us that was told a while ago: it is
 * taken back, and then it is known.
 */
export function isSilent({ flow, endpoint }: Component, forMs: number, now: Instant): boolean {
  if (endpoint === undefined) return true;
  if (now - endpoint.heardAt < forMs) return false;
  flow?.end();
  return flow === undefined;
}
