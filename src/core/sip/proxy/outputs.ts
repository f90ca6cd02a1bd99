/** What the proxy asks for and tells. */
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { Branch, Fork } from "./fork.ts";

/**
 * A message on its way through. Its body may have to be rewritten for the media relay, which may take time: it goes on
 * when `handleCarried` is called with it.
 */
export type Carriage =
  | { readonly kind: "request"; readonly branch: Branch; readonly message: SipRequest }
  | { readonly kind: "response"; readonly branch: Branch; readonly message: SipResponse };

export type ProxyOutput =
  | { readonly kind: "carry"; readonly carriage: Carriage }
  /**
   * What is kept for this branch is free: it was refused, or never reached, or another has answered a second ago. A 2xx
   * that comes after that is carried nevertheless.
   */
  | { readonly kind: "branch-over"; readonly branch: Branch }
  /** It does not take requests over a stream; this one goes by UDP. */
  | { readonly kind: "stream-refused"; readonly branch: Branch }
  /** Every branch is over. */
  | { readonly kind: "fork-over"; readonly fork: Fork };
