/** Phones' places on disk. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { pino } from "pino";
import { parseIp } from "../../src/core/base/address.ts";
import type { UnixSeconds } from "../../src/core/base/machine.ts";
import type { BindingRecord } from "../../src/core/sip/registrar/binding.ts";
import { LocationStore } from "../../src/server/services/sip/location-store.ts";
import { until } from "../support/until.ts";

const root = mkdtempSync(join(tmpdir(), "postern-location-"));
after(() => rmSync(root, { recursive: true }));
const silent = pino({ level: "silent" });

let count = 0;
const newPath = (): string => join(root, `${count++}.db`);

function record(given: Partial<BindingRecord> = {}): BindingRecord {
  const at = (ip: string, port: number) => parseIp(ip, port) ?? assert.fail();
  return {
    aor: "sip:alice@example.org",
    contact: "sip:alice@10.0.0.2:5060;ob",
    params: ';+sip.instance="<urn:uuid:1>"',
    priority: 500,
    instance: "<urn:uuid:1>",
    callId: "c",
    cseq: 7,
    path: ["<sip:edge.example.org;lr>"],
    through: undefined,
    userAgent: undefined,
    flow: { transport: "udp", local: at("192.0.2.1", 5060), remote: at("2001:db8::9", 40_000), connection: 0 },
    registeredAt: 1_700_000_000 as UnixSeconds,
    expiresAt: 1_700_000_300 as UnixSeconds,
    ...given,
  };
}

test("what is stored is found by the next process, every field of it, and the file is its owner's alone", () => {
  const path = newPath();
  const kept = [
    record(),
    record({ contact: "sip:b@x", instance: undefined, userAgent: "phone", path: [], through: "proxy:5070" }),
  ];
  {
    using store = LocationStore.open(path, silent);
    for (const one of kept) store.store(one);
  }
  using store = LocationStore.open(path, silent);
  assert.deepEqual(store.all(), kept);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("a connection is not found again", () => {
  const path = newPath();
  const { flow } = record();
  {
    using store = LocationStore.open(path, silent);
    store.store(record({ flow: { ...flow, transport: "tls", connection: 9 } }));
  }
  using store = LocationStore.open(path, silent);
  assert.deepEqual(
    store.all().map(({ flow: { transport, connection } }) => [transport, connection]),
    [["tls", 0]],
  );
});

test("many changes of one phone are one, the last; and they are written without being asked to", async () => {
  const path = newPath();
  using store = LocationStore.open(path, silent);
  for (let cseq = 1; cseq <= 50; cseq++) store.store(record({ cseq }));
  store.store(record({ contact: "sip:gone@x" }));
  store.forget(record({ contact: "sip:gone@x" }));
  assert.deepEqual(store.all(), [], "not yet");
  await until("the write", () => store.all().length > 0);
  assert.deepEqual(
    store.all().map(({ cseq }) => cseq),
    [50],
  );
  store.forget(record());
  store.write();
  assert.deepEqual(store.all(), []);
});

test("a database that is none is told of, with what to do", () => {
  const path = newPath();
  writeFileSync(path, "this is no database, and long enough to be seen as none".repeat(20));
  assert.throws(() => LocationStore.open(path, silent), { code: "registrations-unusable", message: /Remove the file/ });
});

test("a write that fails is logged, and the next one works", () => {
  const path = newPath();
  const events: string[] = [];
  const log = pino({ messageKey: "event" }, { write: (line) => events.push(JSON.parse(line).event as string) });
  using store = LocationStore.open(path, log);
  using other = new DatabaseSync(path);
  other.exec("ALTER TABLE binding RENAME TO moved");
  store.store(record());
  store.write();
  assert.deepEqual(events, ["registrations-unwritable"]);
  other.exec("ALTER TABLE moved RENAME TO binding");
  store.store(record());
  store.write();
  assert.equal(store.all().length, 1);
});

test("a file of before, when proxies were not noted, is read and written", () => {
  const path = newPath();
  {
    using store = LocationStore.open(path, silent);
    store.store(record());
  }
  {
    const old = new DatabaseSync(path);
    old.exec("ALTER TABLE binding DROP COLUMN through");
    old.close();
  }
  using store = LocationStore.open(path, silent);
  assert.deepEqual(store.all(), [record()]);
  store.store(record({ through: "proxy" }));
  store.write();
  assert.deepEqual(store.all(), [record({ through: "proxy" })]);
});
