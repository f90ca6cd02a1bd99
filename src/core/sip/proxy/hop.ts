/** Where a request is sent next, and as what. */
import type { SipFlow, SipTarget } from "../flow.ts";

export interface Hop {
  readonly to: SipFlow | SipTarget;
  /** The Request-URI that it has there. */
  readonly uri: string;
  /** Route values that it gets, first to last, before those that it has. */
  readonly routes: readonly string[];
  /** Record-Route values, topmost first; none within a dialog. */
  readonly recordRoute: readonly string[];
  /** Our own name on that side, for Via: `host` or `host:port`. */
  readonly sentBy: string;
  /** Milliseconds until the places after it are tried, where there are any; undefined: as long as it rings. */
  readonly ringsFor?: number;
}
