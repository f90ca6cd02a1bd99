/** What the operating system means when it refuses a socket. */
import type { BindFailure } from "./datapath.ts";

/** Anything else that `bind` can say means that the address is not usable. */
const failures: Partial<Record<string, BindFailure>> = {
  EADDRINUSE: "busy",
  EACCES: "busy",
  EMFILE: "exhausted",
  ENFILE: "exhausted",
  ENOBUFS: "exhausted",
  ENOMEM: "exhausted",
};

export function bindFailure(error: NodeJS.ErrnoException): BindFailure {
  return failures[error.code ?? ""] ?? "gone";
}
