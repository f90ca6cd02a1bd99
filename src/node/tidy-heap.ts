/** What a thread has needed to load itself, and nobody needs any more, is given back at once instead of some day. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export function tidyHeap(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options?: { flavor: "last-resort" }) => void;
  collect({ flavor: "last-resort" });
}
