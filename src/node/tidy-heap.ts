/**
 * What threads have needed to load themselves, and nobody needs any more, is given back at once instead of some day. While
 * they are loading, collections may take their time: they leave no gaps, and let go of code that did not run since the last
 * one. Both are the whole process's.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const thorough = ["--compact-on-every-full-gc", "--bytecode-old-age=1"];
const usual = ["--no-compact-on-every-full-gc", "--bytecode-old-age=6"];

/** Before threads load themselves that call `tidyHeap`; and when all of them have. */
export function collectThoroughly(isOn: boolean): void {
  for (const flag of isOn ? thorough : usual) setFlagsFromString(flag);
}

/** Of this thread. */
export function tidyHeap(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options?: { flavor: "last-resort" }) => void;
  collect({ flavor: "last-resort" });
}
