/** Questions on the terminal. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { PosternError } from "../core/base/failure.ts";

/** Asks without showing what is typed. Rejects with `PosternError` `interrupted` on Ctrl-C. */
export async function askHidden(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  // First, so that the terminal echoes nothing that is typed at once.
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(question);
  try {
    return await terminal.question("").catch((cause: Error) => {
      throw new PosternError("interrupted", "Interrupted: no password was given.", { cause });
    });
  } finally {
    terminal.close();
    process.stderr.write("\n");
  }
}

export function readAll(input: NodeJS.ReadableStream): Promise<string> {
  return text(input as NodeJS.ReadStream);
}
