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
  /** It is for when those before it could not be reached (RFC 3263 §4.3), and not for when they have refused. */
  readonly isSpare?: boolean;
  /** Milliseconds until a spare place is tried when nothing at all comes from this one. */
  readonly speaksWithin?: number;
  /** RFC 3261 §18.1.1: the same place over a stream, for a request too large for UDP. Never for a phone behind a NAT. */
  readonly overStream?: { readonly to: SipTarget; readonly sentBy: string } | undefined;
  /** Our own name on that side, for Via: `host` or `host:port`. */
  readonly sentBy: string;
  /** Milliseconds until the places after it are tried, where there are any; undefined: as long as it rings. */
  readonly ringsFor?: number;
}
