/** The one spelling of a user's public address, by which bindings are found. */
import { isSipUri, type Uri } from "../message/uri.ts";
import { unescaped } from "../message/uri-comparison.ts";

/**
 * RFC 3261 §10.3: parameters are no part of it, escapes are undone, and the host is in lower case; the user's case
 * counts. Undefined for what names no user.
 */
export function addressOfRecord(uri: Uri, domain: string): string | undefined {
  const user = userOf(uri);
  return user === undefined ? undefined : `sip:${user}@${domain}`;
}

/** Whose address of record that is. */
export function userOfRecord(aor: string): string {
  return aor.slice("sip:".length, aor.lastIndexOf("@"));
}

/** The user's name, unescaped; undefined where there is none, or where an escape hides what would be taken for syntax. */
export function userOf(uri: Uri): string | undefined {
  if (!isSipUri(uri) || uri.user === undefined || uri.user === "") return undefined;
  const name = unescaped(uri.user);
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 0x21 || code === 0x7f || code === 0x40 || code === 0x3a) return undefined;
  }
  return name;
}
