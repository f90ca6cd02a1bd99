/**
 * A copy of `text` that does not keep alive the message that it was cut from: what is kept for long is often a small part
 * of one.
 */
export function detached(text: string): string {
  return ` ${text}`.slice(1);
}
