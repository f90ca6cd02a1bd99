/** The daemon in this process: what changes around it at the worst moment. */
import assert from "node:assert/strict";
import dns from "node:dns/promises";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { pino } from "pino";
import { loadConfig } from "../../src/server/config/load.ts";
import { Daemon } from "../../src/server/daemon.ts";
import { UserStore } from "../../src/server/users/user-store.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { until } from "../support/until.ts";

const root = mkdtempSync(join(tmpdir(), "postern-daemon-"));
after(() => rmSync(root, { recursive: true }));

interface Settings {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly dataDir?: string;
  /** Called as each line is logged, before the daemon goes on. */
  readonly onLine?: (event: string) => void;
}

async function start({ flags = {}, onLine = () => {}, ...given }: Settings = {}) {
  const dataDir = given.dataDir ?? mkdtempSync(join(root, "data-"));
  const { low, high } = await freePortRange(16);
  const port = `${await freePort()}`;
  const ports = { udpPort: port, tcpPort: port, tlsPort: "off", relayPorts: `${low}-${high}` };
  const sources = { flags: { dataDir, listen: ["127.0.0.1"], httpListen: "off", ...ports, ...flags }, env: {} };
  const events: string[] = [];
  const write = (line: string): void => {
    const { event } = JSON.parse(line) as { event: string };
    events.push(event);
    onLine(event);
  };
  const log = pino({ level: "debug", messageKey: "event" }, { write });
  const loaded = await loadConfig(sources);
  const daemon = await Daemon.start({ loaded, reload: () => loadConfig(sources), log, version: "0" });
  const count = (event: string): number => events.filter((one) => one === event).length;
  return { daemon, dataDir, count, [Symbol.asyncDispose]: () => daemon.close() };
}

test("a user who is removed as soon as the first listener is open is not let stay", async () => {
  const dataDir = mkdtempSync(join(root, "data-"));
  using users = UserStore.open(join(dataDir, "users.db"));
  users.setPassword("alice", "pass", ["postern"], 1);
  let removed = false;
  const onLine = (event: string): void => {
    if (event === "listener-opened" && !removed) removed = users.remove("alice");
  };
  await using running = await start({ dataDir, onLine });
  assert.ok(removed);
  // A reload looks at once.
  await running.daemon.reload("signal");
  assert.equal(running.count("users-changed"), 1);
});

test("a secret that is written while a reload is under way is read by the next", async () => {
  let path: string | undefined;
  const onLine = (event: string): void => {
    if (event !== "reloaded" || path === undefined) return;
    // The reload has read the secrets, and is not over.
    appendFileSync(path, `${"x".repeat(24)}\n`);
    path = undefined;
  };
  await using running = await start({ onLine });
  path = join(running.dataDir, "shared-secret");
  await running.daemon.reload("signal");
  await until("the next reload", () => running.count("reloaded") === 2);
});

/** Answers of the resolver, which a test can hold back. */
class Resolver {
  asked = 0;
  #held: PromiseWithResolvers<void> | undefined;

  constructor(context: TestContext) {
    mock.method(dns, "lookup", async () => {
      this.asked++;
      await this.#held?.promise;
      return [{ address: "203.0.113.5", family: 4 }];
    });
    syncBuiltinESMExports();
    context.after(() => {
      mock.restoreAll();
      syncBuiltinESMExports();
    });
  }

  hang(): void {
    this.#held = Promise.withResolvers();
  }

  answer(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }
}

/** As `until`, which needs a timer. */
async function untilTurns(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

const named = { externalAddress: ["turn.postern.test"], externalAddressInterval: "60s" };

test("a look-up that takes longer than the interval is not asked again meanwhile", async (context) => {
  const resolver = new Resolver(context);
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  await using running = await start({ flags: named });
  assert.equal(resolver.asked, 1);
  resolver.hang();
  context.mock.timers.tick(60_000);
  await untilTurns(() => resolver.asked === 2);
  for (let i = 0; i < 5; i++) context.mock.timers.tick(60_000);
  resolver.answer();
  // Comes after everything that was queued, and asks once itself.
  await running.daemon.reload("signal");
  assert.equal(resolver.asked, 3);
  context.mock.timers.tick(60_000);
  await untilTurns(() => resolver.asked === 4);
});

test("a look-up that hangs does not hold the end, and what waits behind it is left out", {
  timeout: 20_000,
}, async (context) => {
  const resolver = new Resolver(context);
  const running = await start({ flags: named });
  resolver.hang();
  const hung = running.daemon.reload("signal");
  const waiting = running.daemon.reload("signal");
  await until("the look-up", () => resolver.asked === 2);
  await running.daemon.close();
  resolver.answer();
  await Promise.all([hung, waiting]);
  assert.equal(resolver.asked, 2);
});
