/** `postern lab` as a user meets it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { PosternError } from "../../src/core/base/failure.ts";
import { findScenarios } from "../../src/lab/scenarios/find.ts";
import { scenarios } from "../../src/lab/scenarios/index.ts";
import { requireTools } from "../../src/lab/tools.ts";
import { type Ending, startChild } from "../support/child.ts";
import { postern } from "../support/daemon.ts";
import { skip } from "./lab-world.ts";

async function lab(...args: readonly string[]): Promise<Ending & { output: string }> {
  const child = await startChild(postern("lab", ...args));
  return { ...(await child.ended({ within: 60_000 })), output: child.output() };
}

function code(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    return (error as PosternError).code;
  }
  return undefined;
}

describe("which scenarios are meant", () => {
  test("all, without a name", () => assert.equal(findScenarios([]), scenarios));

  test("the one of that name, though others hold it", () => {
    assert.deepEqual(
      findScenarios(["third party"]).map(({ name }) => name),
      ["third party"],
    );
  });

  test("those that hold it, in the lab's order, once each", () => {
    const names = findScenarios(["firewall", "figure", "figure 2"]).map(({ name }) => name);
    assert.deepEqual(
      names.slice(0, 6),
      [1, 2, 3, 4, 5].map((n) => `figure ${n}`).concat("firewall: inside to outside"),
    );
    assert.equal(new Set(names).size, names.length);
  });

  test("whatever is in capitals", () => {
    assert.deepEqual(
      findScenarios(["NAT behind nat", "Figure 4"]).map(({ name }) => name),
      ["figure 4", "NAT behind NAT"],
    );
  });

  for (const name of ["figure 9", ""]) {
    test(`none, as "${name}": that is an error`, () =>
      assert.equal(
        code(() => findScenarios([name])),
        "lab-no-scenario",
      ));
  }

  test("no two have one name", () => {
    assert.equal(new Set(scenarios.map(({ name }) => name)).size, scenarios.length);
  });
});

describe("what the lab needs of the machine", () => {
  const machine = { platform: "linux", uid: 0, path: "/nonexistent" };
  test("Linux", () =>
    assert.equal(
      code(() => requireTools({ ...machine, platform: "darwin" })),
      "lab-platform",
    ));
  test("root", () =>
    assert.equal(
      code(() => requireTools({ ...machine, uid: 1000 })),
      "lab-not-root",
    ));
  test("its programs, by the packages that hold them", () => {
    assert.throws(
      () => requireTools(machine),
      (error: PosternError) => error.code === "lab-tools" && /apt-get install iproute2 nftables/.test(error.message),
    );
  });
});

describe("postern lab", () => {
  test("lists the scenarios", async () => {
    const { code: status, output } = await lab("--list");
    assert.equal(status, 0);
    for (const { name } of scenarios) assert.ok(output.includes(`${name} `), name);
  });

  test("says what is wrong with its arguments", async () => {
    for (const [args, words] of [
      [["figure 9"], /There is no scenario "figure 9"/],
      [["--list", "--round-trip", "soon"], /--round-trip is milliseconds/],
      [["--list", "--round-trip", ""], /--round-trip is milliseconds/],
      [["--list", "--round-trip", "50,,150"], /--round-trip is milliseconds/],
      [["--list", "--round-trip", "0x10"], /--round-trip is milliseconds/],
    ] as const) {
      const { code: status, output } = await lab(...args);
      assert.equal(status, 1);
      assert.match(output, words);
    }
  });
});

describe("postern lab, as root", { skip }, () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "postern-lab-"));
  });
  after(() => rmSync(directory, { recursive: true }));

  test("draws the one scenario that is named, tells of it, and writes a report", async () => {
    const report = join(directory, "report.html");
    const { code: status, output } = await lab("figure 5", "figure 1", "--verbose", "--report", report);
    assert.equal(status, 0);
    assert.match(output, /ok {6}figure 5 \(0 ms\): works, alice hears \d+ of 20, bob hears \d+/);
    assert.match(output, /home router/);
    const html = readFileSync(report, "utf8");
    assert.match(html, /<svg/);
    assert.ok(!/(src|href)="(?!#)/.test(html), "the report needs no other file");
  });

  test("says at once that a report cannot be written", async () => {
    const { code: status, output } = await lab("figure 1", "--report", join(directory, "nowhere", "report.html"));
    assert.equal(status, 1);
    assert.match(output, /^postern: The report cannot be written: ENOENT/, "before anything is tried");
  });

  test("prints JSON", async () => {
    const child = await startChild(postern("lab", "figure 1", "--json", "--round-trip", "0,20,0"));
    assert.equal((await child.ended({ within: 60_000 })).code, 0);
    const json = child.output().slice(child.output().indexOf("[\n"), child.output().lastIndexOf("]") + 1);
    const results = JSON.parse(json) as Record<string, unknown>[];
    assert.deepEqual(
      results.map(({ name, roundTrip, outcome, passed }) => ({ name, roundTrip, outcome, passed })),
      [0, 20].map((roundTrip) => ({ name: "figure 1", roundTrip, outcome: "works", passed: true })),
    );
  });
});
