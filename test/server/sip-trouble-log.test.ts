/** What the log says of calls, and whose names it keeps to itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { SipEventLog } from "../../src/server/services/sip/sip-event-log.ts";
import { Phone, World } from "../core/edge/world.ts";

for (const level of ["info", "debug"] as const) {
  test(`at ${level}, a lost connection and what does not reach it are named${level === "info" ? ", but not whose" : ""}`, () => {
    const lines: Record<string, unknown>[] = [];
    const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
    const log = new SipEventLog(pino({ level, messageKey: "event" }, { write }));
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5", transport: "tcp" });
    for (const phone of [alice, bob]) phone.register();
    alice.ask(alice.invitation("bob"));
    bob.answer(200);
    bob.reconnect(50_001);
    alice.send(alice.within(alice.response, "ACK"));
    for (const event of world.events) log.report(event);
    log.close();
    const said = lines.filter(({ event }) => event === "call-trouble").map(({ what, whose }) => [what, whose]);
    const whose = level === "info" ? undefined : "bob";
    assert.deepEqual(said, [
      ["flow-lost", whose],
      ["unreachable", whose],
    ]);
    assert.equal(JSON.stringify(lines).includes("bob"), level === "debug");
  });
}
