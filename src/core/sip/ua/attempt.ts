/** Requests of ours that are under way: whose they are, and what is done when they are challenged. */
import type { Instant } from "../../base/machine.ts";
import type { Dialog } from "../dialog/dialog.ts";
import { type Challenge, chooseChallenge, formatAuthorization } from "../digest/answer.ts";
import type { SipFlow, SipTarget } from "../flow.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { ClientTransaction } from "../transaction/client.ts";
import type { Transactions } from "../transaction/transactions.ts";
import type { LocalParty, UaCall } from "./call.ts";
import type { UaPorts } from "./context.ts";

/** Common to every request that may be challenged. */
export abstract class Attempt {
  transaction: ClientTransaction | undefined;
  /** The challenge that was answered last, and how often its nonce was used. */
  challenge: Challenge | undefined;
  count = 0;

  /** The request, as it was sent last. */
  get request(): SipRequest {
    return (this.transaction as ClientTransaction).request;
  }
}

/** The INVITE that begins a call. */
export class InviteAttempt extends Attempt {
  readonly call: UaCall;
  readonly hasOffer: boolean;
  /** Of each 2xx by its tag the ACK, to be repeated with it; undefined while our answer is awaited. */
  readonly acks: Map<string, string | undefined> = new Map();

  constructor(call: UaCall, hasOffer: boolean) {
    super();
    this.call = call;
    this.hasOffer = hasOffer;
  }
}

/** A request within a dialog. */
export class RequestAttempt extends Attempt {
  readonly call: UaCall;
  readonly dialog: Dialog;
  readonly method: "INVITE" | "UPDATE" | "BYE";
  readonly hasOffer: boolean;
  /** It was accepted: what it does not know yet is its ACK, while our answer is awaited. */
  isAccepted = false;
  ack: string | undefined;

  constructor(call: UaCall, dialog: Dialog, method: RequestAttempt["method"], hasOffer: boolean) {
    super();
    this.call = call;
    this.dialog = dialog;
    this.method = method;
    this.hasOffer = hasOffer;
  }
}

export function send(
  transactions: Transactions,
  attempt: Attempt,
  request: SipRequest,
  { to, sentBy }: { readonly to: SipFlow | SipTarget; readonly sentBy: string },
  now: Instant,
): void {
  attempt.transaction = transactions.request(request, { to, sentBy, owner: attempt }, now);
}

/**
 * The same request with an answer to the challenge; undefined where the challenge is not for this account, or was answered
 * before and the answer was wrong.
 */
export function answeringChallenge(
  ports: UaPorts,
  attempt: Attempt,
  response: SipResponse,
  { account }: LocalParty,
  cseq: number,
): SipRequest | undefined {
  const isProxy = response.status === 407;
  if (account === undefined || (!isProxy && response.status !== 401)) return undefined;
  const given = response.credentials(isProxy ? "Proxy-Authenticate" : "WWW-Authenticate");
  const challenges = given.filter(({ scheme }) => scheme === "digest").map(({ params }) => params);
  const challenge = chooseChallenge(challenges, account);
  // RFC 3261 §22.2: a second challenge means that the password is wrong, unless the nonce alone was too old.
  if (challenge === undefined || (attempt.challenge !== undefined && !challenge.isStale) || attempt.count > 2) {
    return undefined;
  }
  attempt.challenge = challenge;
  attempt.count++;
  const again = attempt.request.copy();
  again.removeTopVia();
  again.headers.set("CSeq", `${cseq} ${again.method}`);
  const { method, uriText } = again;
  const value = formatAuthorization(ports, account, challenge, { method, uri: uriText, count: 1 });
  again.headers.set(isProxy ? "Proxy-Authorization" : "Authorization", value);
  return again;
}
