/** What the log says of offload: once that it is on or off, and why, and now and then of flows that the kernel refuses. */
import { FailureLog } from "../failure-log.ts";
import type { Log } from "../log.ts";
import type { OffloadReports } from "./ebpf/kernel-forwarding.ts";

export function offloadReports(log: Log): OffloadReports {
  const failures = new FailureLog(log, "offload-failed");
  return {
    flowFailed: (error) => failures.report(error),
    changed: (because, interfaces = []) => {
      if (because === undefined) log.info(interfaces.length === 0 ? {} : { interfaces }, "offload-is-on");
      else log.warn({ code: (because as NodeJS.ErrnoException).code, problem: sentence(because) }, "offload-is-off");
    },
    stoodDown: (why) => log.warn({ why }, "offload-stands-down"),
  };
}

/** What is wrong, with its cause in parentheses where the words do not name it. */
function sentence({ message, cause }: Error): string {
  if (!(cause instanceof Error)) return message;
  const { code = cause.message } = cause as NodeJS.ErrnoException;
  return message.includes(code) ? message : `${message.replace(/\.$/, "")} (${cause.message}).`;
}
