import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIp } from "../../../../src/core/base/address.ts";
import type { Instant } from "../../../../src/core/base/machine.ts";
import { forget, HostRules, newStanding } from "../../../../src/node/datapath/ebpf/host-rules.ts";
import type { BpfMap } from "../../../../src/node/sys/bpf.ts";
import type { Tracking } from "../../../../src/node/sys/netfilter.ts";

const near = { local: parseIp("10.0.0.1", 1)!, remote: parseIp("10.0.0.2", 2)! };
const far = { local: parseIp("10.0.1.1", 3)!, remote: parseIp("10.0.1.2", 4)! };
const ends = [near, far];
const seconds = (count: number) => (1_000 * count) as Instant;

class Filter {
  generation: number | undefined = 1;
  translates: boolean | undefined = true;
  asked = 0;
  readonly says: Tracking[] = ["untranslated", "untranslated"];

  tracking(local: unknown): Tracking {
    this.asked++;
    return this.says[local === near.local ? 0 : 1]!;
  }
}

function rulesOf(filter: Filter) {
  const silence = { value: { u32: new Uint32Array(2) }, put: () => {} } as unknown as BpfMap;
  const told: string[] = [];
  const rules = new HostRules(filter, silence, (why) => told.push(why));
  rules.haveChanged(seconds(0));
  return { rules, told };
}

test("where nothing is translated, nothing is asked", () => {
  const filter = Object.assign(new Filter(), { translates: false });
  const { rules } = rulesOf(filter);
  assert.equal(rules.allow(newStanding(0), ends, 0, seconds(1)), true);
  assert.equal(filter.asked, 0);
});

test("a flow has shown when both ends are tracked and not translated, for half a minute", () => {
  const filter = new Filter();
  const { rules } = rulesOf(filter);
  const standing = newStanding(0);
  assert.equal(rules.allow(standing, ends, 0, seconds(1)), true);
  assert.equal(rules.allow(standing, ends, 0, seconds(30)), true);
  assert.equal(filter.asked, 2);
  filter.says[1] = "translated";
  assert.equal(rules.allow(standing, ends, 0, seconds(32)), false);
});

test("one end that is not tracked shows by a packet that was carried, and nothing is asked before that", () => {
  const filter = new Filter();
  filter.says[1] = "untracked";
  const { rules } = rulesOf(filter);
  const standing = newStanding(7);
  assert.equal(rules.allow(standing, ends, 7, seconds(1)), false);
  assert.equal(rules.allow(standing, ends, 7, seconds(2)), false);
  assert.equal(filter.asked, 2);
  assert.equal(rules.allow(standing, ends, 8, seconds(3)), true);
});

test("what is translated, or not told, is told once, and asked about again later", () => {
  const filter = new Filter();
  const { rules, told } = rulesOf(filter);
  for (const [says, from] of [
    ["translated", 0],
    ["unknown", 100],
  ] as const) {
    filter.says[0] = says;
    const standing = newStanding(0);
    const asked = filter.asked;
    for (let i = 0; i < 25; i++) assert.equal(rules.allow(standing, ends, i, seconds(from + i)), false);
    assert.equal(filter.asked, asked + 2);
    filter.says[0] = "untranslated";
    assert.equal(rules.allow(standing, ends, 26, seconds(from + 31)), true);
  }
  assert.equal(told.length, 2);
});

test("rules that change are heeded: what was shown counts no more", () => {
  const filter = new Filter();
  const { rules } = rulesOf(filter);
  const standing = newStanding(0);
  assert.equal(rules.allow(standing, ends, 0, seconds(1)), true);
  assert.equal(rules.haveChanged(seconds(2)), false);
  filter.generation = 2;
  assert.equal(rules.haveChanged(seconds(3)), true);
  forget(standing);
  filter.says[0] = "untracked";
  assert.equal(rules.allow(standing, ends, 0, seconds(3)), false);
  assert.equal(rules.allow(standing, ends, 1, seconds(4)), true);
  // The last of them is gone, and what was not allowed is.
  filter.translates = false;
  filter.generation = 3;
  assert.equal(rules.haveChanged(seconds(5)), true);
  filter.generation = 4;
  assert.equal(rules.haveChanged(seconds(6)), false);
});

test("where it cannot be told whether rules change, they are looked at now and then", () => {
  const filter = new Filter();
  filter.generation = filter.translates = undefined;
  const { rules } = rulesOf(filter);
  assert.equal(rules.haveChanged(seconds(11)), false);
  filter.translates = false;
  assert.equal(rules.haveChanged(seconds(12)), false);
  assert.equal(rules.haveChanged(seconds(22)), true);
});

test("a flow whose packets are not seen rests a minute, then eight", () => {
  const filter = Object.assign(new Filter(), { translates: false });
  const { rules } = rulesOf(filter);
  const standing = newStanding(0);
  rules.rest(standing, "unseen", seconds(0));
  assert.equal(rules.allow(standing, ends, 0, seconds(59)), false);
  assert.equal(rules.allow(standing, ends, 0, seconds(60)), true);
  rules.rest(standing, "unseen", seconds(60));
  forget(standing);
  assert.equal(rules.allow(standing, ends, 0, seconds(60 + 479)), false);
  assert.equal(rules.allow(standing, ends, 0, seconds(60 + 480)), true);
});
