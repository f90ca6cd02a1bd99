/** What the SIP edge tells, as log lines. Names and addresses are said at debug and below only. */
import { formatAddress } from "../../../core/base/address.ts";
import type { CallReport } from "../../../core/edge/call.ts";
import type { EdgeEvent } from "../../../core/edge/outputs.ts";
import type { BindingRecord } from "../../../core/sip/registrar/binding.ts";
import { FloodLog } from "../../flood.ts";
import type { DaemonLog } from "../../log.ts";

export class SipEventLog {
  readonly #log: DaemonLog;
  readonly #flood: FloodLog;
  /** Once a window: who has no room tries again. */
  readonly #limits: FloodLog;

  constructor(log: DaemonLog) {
    this.#log = log;
    this.#flood = new FloodLog(log);
    this.#limits = new FloodLog(log, { lines: 1 });
  }

  readonly report = (event: EdgeEvent): void => {
    const isPersonal = this.#log.isLevelEnabled("debug");
    if (event.type === "binding") {
      const { transport } = event.binding.flow;
      this.#flood.write("debug", { transport, ...(isPersonal && phone(event.binding)) }, `phone-${event.what}`);
      return;
    }
    if (event.type === "wrong-password") {
      const { user, method, flow } = event;
      const who = isPersonal ? { user, remote: formatAddress(flow.remote) } : {};
      this.#flood.write("info", { method, transport: flow.transport, ...who }, "wrong-password");
      return;
    }
    if (event.type === "limited") {
      const { limit, name, flow } = event;
      const who = isPersonal ? { name, remote: formatAddress(flow.remote) } : {};
      // Strangers reach theirs every day.
      const level = limit === "over-budget" ? "info" : "warn";
      this.#limits.write(level, { limit, transport: flow.transport, ...who }, `limit-reached-${limit}`);
      return;
    }
    if (event.type === "trunk-failed") {
      const { trunk, why, target } = event;
      const where = isPersonal ? { remote: formatAddress(target.address) } : {};
      this.#flood.write("warn", { trunk, why, transport: target.transport, ...where }, "trunk-failed");
      return;
    }
    const { number: call, state, end } = event.call;
    const whose = isPersonal ? sides(event.call) : {};
    if (event.type === "trouble") {
      const who = isPersonal && event.name !== undefined ? { whose: event.name } : {};
      this.#flood.write("info", { call, what: event.what, state, ...who, ...whose }, "call-trouble");
    } else if (event.what === "ended") {
      this.#flood.write(
        "info",
        { call, end, seconds: seconds(event.call), ...media(event.call), ...whose },
        "call-ended",
      );
    } else this.#flood.write("debug", { call, ...whose }, `call-${event.what}`);
  };

  close(): void {
    this.#flood.close();
    this.#limits.close();
  }
}

function phone({ aor, flow, userAgent }: BindingRecord): object {
  return { aor, remote: formatAddress(flow.remote), userAgent };
}

function sides({ callId, caller, called, callee }: CallReport): object {
  return {
    callId,
    caller: caller.name,
    from: formatAddress(caller.flow.remote),
    called,
    ...(callee && { callee: callee.name, to: formatAddress(callee.flow.remote) }),
  };
}

/** Said where it did not go through the relay. */
function media({ direct, site }: CallReport): object {
  return direct === undefined ? {} : { direct, ...(site !== undefined && { site }) };
}

/** Of talking; undefined for a call that was not answered, or whose end was not seen. */
function seconds({ answeredAt, endedAt, direct }: CallReport): number | undefined {
  if (direct === "policy") return undefined;
  return answeredAt === undefined || endedAt === undefined ? undefined : Math.round((endedAt - answeredAt) / 1000);
}
