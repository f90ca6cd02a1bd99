/** Node's event loop, as it is: for the main thread, see `watchReadable`. */
import { EventLoop } from "./event-loop.ts";
import { Pause } from "./pause.ts";
import { type ThreadLoop, watchReadable } from "./readiness.ts";

let found: ThreadLoop | undefined;

/** This thread's. Throws `PosternError` `foreign-functions-unavailable`. */
export function nodeLoop(): ThreadLoop {
  found ??= openLoop();
  return found;
}

function openLoop(): ThreadLoop {
  const loop = new EventLoop();
  const pause = new Pause(loop.descriptor);
  return {
    watch: watchReadable,
    pause: (microseconds) => {
      loop.updateTime();
      if (loop.timeout === 0) forgetImmediates();
      const { timeout } = loop;
      return (timeout < 0 || timeout * 1_000 >= microseconds) && pause.take(microseconds);
    },
  };
}

/** Node tells libuv only after the last of several immediates that there are none to wait for, or when one is taken back. */
function forgetImmediates(): void {
  clearImmediate(setImmediate(() => {}).unref());
}
