/** Why a TURN server does not relay for us, and what to do about it. */
import type { FailedTrial } from "./relay-trial.ts";

interface Advice {
  readonly why: string;
  /** Undefined: there is nothing to do that is not said elsewhere. */
  readonly change: string | undefined;
}

const known: Readonly<Record<string, Advice>> = {
  unauthenticated: {
    why: "user name and password do not fit (401)",
    change: "Correct the user name or the password; credentials that expire may have expired: fetch fresh ones.",
  },
  "integrity-violated": {
    why: "its answers do not prove that it knows the password: the password is wrong, or something on the way changes messages",
    change: "Correct the password.",
  },
  "wrong-credentials": {
    why: "another session has the same port with other credentials (441)",
    change: "Run this again: it uses other ports. If it stays, a NAT gives two users one port.",
  },
  forbidden: {
    why: "this user, or this address, may not relay (403)",
    change: "Ask whoever runs the server to let this user in from here.",
  },
  "quota-reached": {
    why: "this user, or the server, has all the allocations that it may have (486)",
    change: "End other sessions of this user, or raise the server's limit for each user; two are needed here.",
  },
  "insufficient-capacity": {
    why: "the server is full, is shutting down, or has no port left (508)",
    change: "Give the server more relay ports or another machine, or try again later.",
  },
  "try-alternate": {
    why: "it sends its clients to another server, which cannot be used from here (300)",
    change: "Correct the alternate server in the server's configuration.",
  },
  "allocation-mismatch": {
    why: "it takes every port of ours for one that is in use (437)",
    change:
      "Wait ten minutes, until the server has forgotten old sessions; if it stays, the NAT shares ports too soon.",
  },
  "family-not-supported": {
    why: "it has no relay address of either family (440)",
    change: "Give the server a relay address.",
  },
  "transport-not-supported": { why: "it does not relay UDP (442)", change: "Use a server that relays UDP." },
  "stale-nonce": {
    why: "it calls every nonce stale that it gives (438)",
    change: "If several servers share the name, let one serve a client throughout.",
  },
  "server-error": { why: "it failed (500)", change: "See the server's log, and try again." },
  "no-common-algorithm": { why: "it takes neither MD5 nor SHA-256 keys", change: "Update the server." },
  "bid-down": {
    why: "somebody on the way takes strong password algorithms out of its messages",
    change: "Use TLS: turns: instead of turn:.",
  },
};

const unreachable: Readonly<Record<string, string>> = {
  "timed-out": "no answer",
  "connect-timed-out": "no connection",
  "connect-failed": "no connection",
  "connection-lost": "the connection was closed at once",
  "no-server": "its name cannot be resolved",
  "not-turn": "what answers there does not speak TURN",
};

export function adviceOn({ state, failure, expired }: FailedTrial): Advice {
  const { reason, detail } = failure;
  if (expired !== undefined) {
    const at = expired.toISOString().replace(".000", "");
    return {
      why: `the credentials expired at ${at} (401)`,
      change: "Fetch fresh credentials: these are good for a time only.",
    };
  }
  if (state === "allocated") {
    const why = `it does not relay from one of its clients to another (${reason === "forbidden" ? "403" : reason})`;
    return {
      why,
      change: "Let the server relay to its own relay address: two users who both need the relay cannot meet otherwise.",
    };
  }
  const more = detail === undefined ? "" : ` (${detail.replace(/\.$/, "")})`;
  if (state === "unreached") return { why: `${unreachable[reason] ?? reason}${more}`, change: undefined };
  return known[reason] ?? { why: `it refuses: ${reason}${more}`, change: "See the server's log." };
}
