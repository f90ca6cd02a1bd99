/** The way to a dialog's other side: its Contact, and the proxies that have recorded themselves (RFC 3261 §12.1, §12.2.1.1). */
import { MALFORMED, type Malformed } from "../message/characters.ts";
import type { SipMessage } from "../message/message.ts";
import { formatUri, isSipUri } from "../message/uri.ts";

export interface Route {
  /** As it stood in Record-Route. */
  readonly text: string;
  readonly uriText: string;
  /** RFC 3261 §16.12: it routes by Route and leaves the Request-URI alone. */
  readonly isLoose: boolean;
}

export interface Hops {
  /** The remote target, a URI. */
  readonly target: string;
  /** First to last. */
  readonly routes: readonly Route[];
}

/** RFC 3261 §12.1.1, §12.1.2: in the order of the request for the callee, reversed for the caller. */
export function routeSetOf(message: SipMessage, role: "caller" | "callee"): readonly Route[] | Malformed {
  const { recordRoutes } = message;
  if (recordRoutes === MALFORMED) return MALFORMED;
  const texts = message.list("record-route");
  const routes = recordRoutes.map(({ uri, uriText }, index): Route => {
    const isLoose = isSipUri(uri) && uri.params.has("lr");
    return { text: texts[index] ?? `<${uriText}>`, uriText, isLoose };
  });
  return role === "caller" ? routes.toReversed() : routes;
}

/** Undefined where there is none that requests can be sent to. */
export function contactOf({ contacts }: SipMessage): string | undefined {
  const contact = contacts === MALFORMED || contacts === "*" ? undefined : contacts[0];
  if (contact === undefined || !isSipUri(contact.uri)) return undefined;
  // RFC 3261 §19.1.1: a Request-URI has no headers.
  return contact.uri.headers.length === 0 ? contact.uriText : formatUri({ ...contact.uri, headers: [] });
}

/** RFC 3261 §12.2.1.1: the Request-URI, and the Route values in their order. */
export function targetOf({ target, routes }: Hops): { readonly uri: string; readonly routes: readonly string[] } {
  const [first, ...others] = routes;
  if (first === undefined || first.isLoose) return { uri: target, routes: routes.map(({ text }) => text) };
  // RFC 3261 §12.2.1.1: a strict router wants to be the Request-URI itself, and the target comes last.
  return { uri: first.uriText, routes: [...others.map(({ text }) => text), `<${target}>`] };
}
