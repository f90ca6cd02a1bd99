/** Anybody may write anything into a message: what commands a terminal, and what breaks a line, is shown as a question mark. */
export function printable(line: string): string {
  return line.replace(/\p{Cc}/gu, "?");
}
