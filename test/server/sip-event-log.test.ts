/** What the log says of limits: each once a window, with how often it was reached. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { parseIp } from "../../src/core/base/address.ts";
import type { EdgeLimit } from "../../src/core/edge/outputs.ts";
import { SipEventLog } from "../../src/server/services/sip/sip-event-log.ts";

function logOf(level: "info" | "debug", limits: readonly EdgeLimit[]): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const log = new SipEventLog(pino({ level, messageKey: "event", base: null, timestamp: false }, { write }));
  const remote = parseIp("198.51.100.7", 5060) ?? assert.fail();
  const flow = { transport: "udp", connection: 0, local: remote, remote } as const;
  for (const limit of limits) log.report({ type: "limited", limit, name: "1001", flow });
  log.close();
  return lines;
}

test("a limit is named once a window, and counted", () => {
  const many = Array<EdgeLimit>(41).fill("user-calls");
  assert.deepEqual(logOf("info", [...many, "trunk-budget", "over-budget"]), [
    { level: 40, limit: "user-calls", transport: "udp", event: "limit-reached-user-calls" },
    { level: 40, limit: "trunk-budget", transport: "udp", event: "limit-reached-trunk-budget" },
    { level: 30, limit: "over-budget", transport: "udp", event: "limit-reached-over-budget" },
    { level: 30, of: "limit-reached-user-calls", lines: 40, seconds: 10, event: "log-lines-left-out" },
  ]);
});

test("whose it is stands there at debug alone", () => {
  const [line] = logOf("debug", ["user-calls"]);
  assert.deepEqual([line?.["name"], line?.["remote"]], ["1001", "198.51.100.7:5060"]);
});
