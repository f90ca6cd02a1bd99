/** Text in HTML and in XML: names and screens come from programs. */

// XML 1.0 §2.2 has no way to write any other, not even escaped.
const unwritable = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;

export function escapeHtml(text: string): string {
  return text.replace(unwritable, "\u{fffd}").replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
