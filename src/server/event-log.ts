/** What the TURN server tells, as log lines. Who it was about is said at debug and below only. */
import { formatAddress } from "../core/base/address.ts";
import { Method } from "../core/stun/registry.ts";
import type { AllocationSummary, TurnServerEvent } from "../core/turn/server/outputs.ts";
import { FloodLog } from "./flood.ts";
import type { DaemonLog } from "./log.ts";

function methodName(number: number): string {
  return Object.entries(Method).find(([, method]) => method === number)?.[0] ?? String(number);
}

function who({ username, client, relayed }: AllocationSummary): object {
  return { username, client: formatAddress(client.remote), relayed: relayed.map(formatAddress) };
}

export class EventLog {
  readonly #log: DaemonLog;
  readonly #flood: FloodLog;

  constructor(log: DaemonLog) {
    this.#log = log;
    this.#flood = new FloodLog(log);
  }

  readonly report = (event: TurnServerEvent): void => {
    const personal = this.#log.isLevelEnabled("debug");
    if (event.type === "refused") {
      const { method, code, why, username, client } = event;
      const whose = personal ? { username, client: formatAddress(client.remote) } : {};
      this.#flood.write("info", { method: methodName(method), code, why, ...whose }, "request-refused");
      return;
    }
    const { allocation } = event;
    const fields = { allocation: allocation.id, transport: allocation.client.transport };
    const whose = personal ? who(allocation) : {};
    if (event.type === "allocation-created") {
      this.#flood.write("info", { ...fields, lifetime: event.lifetime, ...whose }, "allocation-created");
    } else {
      const { reason, seconds, traffic } = event;
      this.#flood.write("info", { ...fields, reason, seconds, ...traffic, ...whose }, "allocation-ended");
    }
  };

  close(): void {
    this.#flood.close();
  }
}
