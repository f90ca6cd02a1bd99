/** What the daemon notices by looking, and how much it says about it. */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { silentLog } from "../../src/node/log.ts";
import { FileWatch } from "../../src/server/file-watch.ts";
import { FloodLog } from "../../src/server/flood.ts";
import { until } from "../support/until.ts";

const directory = mkdtempSync(join(tmpdir(), "postern-watch-"));
after(() => rmSync(directory, { recursive: true }));

test("a file that is written, replaced, removed, or linked elsewhere has changed", async () => {
  const file = join(directory, "a");
  const other = join(directory, "b");
  writeFileSync(file, "1");
  let changes = 0;
  using watch = new FileWatch(
    () => [file],
    () => changes++,
    { everyMs: 5 },
  );
  const noticed = async (what: string, change: () => void) => {
    const before = changes;
    change();
    await until(what, () => changes > before);
  };
  await noticed("a write", () => writeFileSync(file, "2"));
  await noticed("a replacement", () => {
    writeFileSync(other, "2");
    renameSync(other, file);
  });
  await noticed("a removal", () => rmSync(file));
  // Kubernetes mounts secrets as links that are moved.
  writeFileSync(join(directory, "v1"), "x");
  await noticed("a link", () => symlinkSync(join(directory, "v1"), file));
  await noticed("a link that leads nowhere but to itself", () => {
    rmSync(file);
    symlinkSync(file, file);
  });
  await noticed("a file again", () => {
    rmSync(file);
    writeFileSync(file, "2");
  });
  const before = changes;
  writeFileSync(file, "3");
  watch.settle();
  await new Promise((done) => setTimeout(done, 30));
  assert.equal(changes, before, "what was settled is no change");
});

test("a flood of an event is a few lines a window, and one that counts the rest", async () => {
  const lines: [fields: object, event: string][] = [];
  const write = (fields: object, event: string) => void lines.push([fields, event]);
  const flood = new FloodLog({ ...silentLog, info: write }, { lines: 2, windowMs: 20 });
  for (let i = 0; i < 10; i++) flood.write("info", { i }, "refused");
  flood.write("info", {}, "other");
  assert.deepEqual(
    lines.map(([, event]) => event),
    ["refused", "refused", "other"],
  );
  await until("the count", () => lines.length === 4);
  assert.deepEqual(lines[3], [{ of: "refused", lines: 8, seconds: 0.02 }, "log-lines-left-out"]);
  flood.write("info", {}, "refused");
  assert.equal(lines.length, 5, "the next window starts anew");
  flood.close();
});
