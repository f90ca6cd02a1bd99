/** The walls hold: each forbidden thing, written into a copy of the real source layout, fails to compile or to lint. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { breaches } from "../../tools/walls.ts";

const root = join(import.meta.dirname, "../..");
const bin = join(root, "node_modules/.bin");
let copy: string;

before(async () => {
  copy = await mkdtemp(join(tmpdir(), "postern-walls-"));
  for (const name of ["package.json", "tsconfig.base.json", "biome.json", ".gitignore", "tools/lint"]) {
    await cp(join(root, name), join(copy, name), { recursive: true });
  }
  for (const area of ["core", "natlab", "node", "lab", "server", "cli"]) {
    await cp(join(root, "src", area, "tsconfig.json"), join(copy, "src", area, "tsconfig.json"));
    await write(`src/${area}/thing.ts`, "export const thing = 1;\n");
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
});
after(() => rm(copy, { recursive: true }));

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(copy, path)), { recursive: true });
  await writeFile(join(copy, path), text);
}

/** Runs a tool in the copy with `text` at `path`; gives what it printed, or "" when it was content. */
async function complaint(path: string, text: string, tool: string, ...args: readonly string[]): Promise<string> {
  await write(path, text);
  try {
    await promisify(execFile)(join(bin, tool), args, { cwd: copy });
    return "";
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}${stderr}` || String(error);
  } finally {
    await rm(join(copy, path));
  }
}
const compile = (area: string, text: string) =>
  complaint(`src/${area}/probe.ts`, text, "tsc", "-b", `src/${area}`, "--pretty", "false");
const lint = (path: string, text: string) => complaint(path, text, "biome", "lint", path);

suite("src/core does not compile with", () => {
  const forbidden: Record<string, [text: string, error: RegExp]> = {
    "a Node module": [
      'import { createSocket } from "node:dgram";\nexport const s: unknown = createSocket;\n',
      /TS2307|TS2591/,
    ],
    "a timer": ["setTimeout(() => {}, 1);\nexport {};\n", /TS2304.*setTimeout/],
    setInterval: ["setInterval(() => {}, 1);\nexport {};\n", /TS2304.*setInterval/],
    queueMicrotask: ["queueMicrotask(() => {});\nexport {};\n", /TS2304.*queueMicrotask/],
    Buffer: ["export const b: unknown = Buffer.alloc(1);\n", /Buffer/],
    process: ["export const p: unknown = process.env;\n", /process/],
    console: ["console.log(1);\nexport {};\n", /console/],
    fetch: ['fetch("http://localhost");\nexport {};\n', /fetch/],
    performance: ["export const t: unknown = performance.now();\n", /performance/],
    crypto: ["export const c: unknown = crypto;\n", /crypto/],
    "src/node": ['export { thing } from "../node/thing.ts";\n', /TS6059|TS6307/],
    "src/server": ['export { thing } from "../server/thing.ts";\n', /TS6059|TS6307/],
    "an enum": ["export enum E {\n  A,\n}\n", /TS1294/],
    "an unannotated export": ["export const f = () => Math.max(1, 2);\n", /TS90/],
  };
  for (const [what, [text, error]] of Object.entries(forbidden)) {
    test(what, async () => assert.match(await compile("core", text), error));
  }
});

suite("nobody imports upward:", () => {
  for (const [area, upper] of [
    ["node", "server"],
    ["node", "cli"],
    ["server", "cli"],
    ["natlab", "lab"],
    ["server", "lab"],
    ["lab", "server"],
    ["lab", "cli"],
  ] as const) {
    test(`src/${area} importing src/${upper} does not compile`, async () => {
      assert.match(await compile(area, `export { thing } from "../${upper}/thing.ts";\n`), /TS6059|TS6307/);
    });
  }
});

test("what is allowed compiles and lints: the tests above fail for their own reason", async () => {
  const core = "export const low: number = Math.min(1, new Uint8Array(2)[0]!);\n";
  assert.equal(await compile("core", core), "");
  assert.equal(await lint("src/core/probe.ts", core), "");
  assert.equal(
    await compile("node", 'export { thing } from "../core/thing.ts";\nexport const b: Buffer = Buffer.alloc(1);\n'),
    "",
  );
  assert.equal(await compile("cli", 'export { thing } from "../server/thing.ts";\n'), "");
});

suite("src/natlab is as pure as the core:", () => {
  test("a timer does not compile", async () =>
    assert.match(await compile("natlab", "setTimeout(() => {}, 1);\nexport {};\n"), /TS2304.*setTimeout/));
  test("src/node does not compile", async () =>
    assert.match(await compile("natlab", 'export { thing } from "../node/thing.ts";\n'), /TS6059|TS6307/));
  test("Date does not lint", async () =>
    assert.match(await lint("src/natlab/probe.ts", "export const t: number = Date.now();\n"), /Time is an argument/));
});

suite("src/core does not lint with", () => {
  const forbidden: Record<string, [text: string, error: RegExp]> = {
    Date: ["export const t: number = Date.now();\n", /Time is an argument/],
    "Math.random": ["export const r: number = Math.random();\n", /Randomness is a port/],
    await: ["export const r = async (x: PromiseLike<number>) => await x;\n", /synchronous/],
    Promise: ["export const r: Promise<number> = Promise.resolve(1);\n", /synchronous/],
    globalThis: ["export const r: unknown = globalThis;\n", /outside itself/],
  };
  for (const [what, [text, error]] of Object.entries(forbidden)) {
    test(what, async () => assert.match(await lint("src/core/probe.ts", text), error));
  }
  test("an import cycle", async () => {
    await write("src/core/other.ts", 'import { a } from "./probe.ts";\nexport const b: number = a;\n');
    const text = 'import { b } from "./other.ts";\nexport const a: number = b;\n';
    assert.match(await lint("src/core/probe.ts", text), /noImportCycles/);
    await rm(join(copy, "src/core/other.ts"));
  });
});

suite("the table of walls refuses", () => {
  const forbidden: Record<string, string> = {
    "src/core/turn/probe.ts": 'import { agent } from "../ice/agent.ts";\n',
    "src/core/turn/server/probe.ts": 'export type { Agent } from "../../ice/agent.ts";\n',
    "src/core/ice/probe.ts": 'import {\n  relay,\n} from "../turn/relay.ts";\n',
    "src/core/stun/probe.ts": 'export * from "../turn/index.ts";\n',
    "src/core/base/probe.ts": 'import "../stun/codec.ts";\n',
    "src/core/turn/client/probe.ts": 'export const x = () => import("../../../node/clock.ts");\n',
    "src/core/stun/package.ts": 'import { z } from "zod";\n',
    "src/natlab/probe.ts": 'import { TurnServer } from "../core/turn/server/turn-server.ts";\n',
    "src/node/sys/probe.ts": 'import { Alarm } from "../alarm.ts";\n',
    "src/node/datapath/probe.ts": 'import koffi from "koffi";\n',
    "src/server/probe.ts": 'export const x = require("@koromix/koffi-linux-x64");\n',
    "src/elsewhere/probe.ts": "export {};\n",
  };
  for (const [path, text] of Object.entries(forbidden)) {
    test(`${path}: ${text.trim()}`, async () => {
      await rm(join(copy, "src/core/thing.ts"), { force: true });
      await write(path, text);
      assert.equal(breaches(copy).filter((line) => line.startsWith(path)).length, 1);
      await rm(join(copy, path));
    });
  }
  test("nothing of what is there", () => assert.deepEqual(breaches(root), []));
});
