/** What is large is loaded where it is needed: the memory of every thread hangs on what its program imports. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");

/** Everything that importing a file loads, as URLs. */
async function loadedBy(file: string): Promise<string[]> {
  const program = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    await import(${JSON.stringify(join(root, file))}).catch(() => {});
    console.log(JSON.stringify(loaded));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], {
    timeout: 30_000,
  });
  return JSON.parse(stdout) as string[];
}

const offload = /\/datapath\/(ebpf|offload\.ts)/;
const packets = /\/datapath\/mmsg/;
const libraries = /node_modules\/(@peculiar|@prometheus-io|hono|yaml)\//;

for (const [file, needs, never] of [
  ["src/node/shard/shard-program.ts", [packets], [offload, libraries, /node_modules\/(zod|commander|pino)\//]],
  ["src/server/daemon.ts", [/\/server\/turn\.ts/], [offload, packets, libraries]],
  ["src/server/http/server.ts", [/node_modules\/hono\//], [offload, /node_modules\/@prometheus-io\//]],
] as const) {
  test(`${file} does not load what only some need`, { timeout: 60_000 }, async () => {
    const loaded = await loadedBy(file);
    for (const pattern of needs)
      assert.ok(
        loaded.some((url) => pattern.test(url)),
        `nothing like ${pattern}`,
      );
    for (const pattern of never)
      assert.deepEqual(
        loaded.filter((url) => pattern.test(url)),
        [],
      );
  });
}
