/** What somebody is told for whom there is no room: which limit it is, and when to try again. */
import type { Random } from "../base/ports.ts";
import { hexOf } from "../sip/digest/algorithm.ts";
import { createResponse } from "../sip/message/build.ts";
import type { SipRequest, SipResponse } from "../sip/message/message.ts";
import type { EdgeLimit, EdgeRefusal } from "./outputs.ts";

/** Seconds. */
const RETRY_AFTER = { least: 2, spread: 10 } as const;

const WORDS: Readonly<Record<EdgeLimit, string>> = {
  "over-budget": "Too Many Requests From Your Address",
  "trunk-budget": "Too Many Requests From This Trunk",
  busy: "Too Many Requests",
  calls: "Too Many Calls",
  "user-calls": "Too Many Calls of This User",
  "source-calls": "Too Many Calls From Your Address",
  "connection-calls": "Too Many Calls on This Connection",
  "trunk-calls": "Too Many Calls Through This Trunk",
  "user-transactions": "Too Many Requests of This User",
  "source-transactions": "Too Many Requests From Your Address",
  "connection-transactions": "Too Many Requests on This Connection",
  "trunk-transactions": "Too Many Requests From This Trunk",
};

export function isLimit(why: EdgeRefusal): why is EdgeLimit {
  return why in WORDS;
}

/** RFC 3261 §21.4.24, §21.5.4: a user who talks as much as may be is busy; 503 has others ask another server, or later. */
export function limitAnswer(request: SipRequest, limit: EdgeLimit, random: Random): SipResponse {
  const status = limit === "user-calls" ? 486 : 503;
  const reason = WORDS[limit];
  // Not all of an office at once.
  const seconds = RETRY_AFTER.least + ((random.bytes(1)[0] as number) % RETRY_AFTER.spread);
  const headers = [
    ["Retry-After", `${seconds}`],
    // DEVIATES RFC 3326 §2: it is for requests. Phones show words of their own for a status; these stand in captures.
    ["Reason", `SIP;cause=${status};text="${reason}"`],
  ] as const;
  return createResponse(request, status, { toTag: hexOf(random.bytes(8)), reason, headers });
}
