import assert from "node:assert/strict";
import { test } from "node:test";
import { Admission } from "../../../src/node/net/admission.ts";
import { defaultStreamLimits } from "../../../src/node/net/stream-limits.ts";
import { createStreamStats } from "../../../src/node/net/stream-stats.ts";
import { at } from "../host-under-test.ts";

test("an IPv6 source is a /56", () => {
  const stats = createStreamStats();
  const admission = new Admission({ ...defaultStreamLimits, connectionsPerSource: 1 }, stats, () => {});
  assert.ok(admission.admit(at("2001:db8:1:ff00::1")));
  assert.equal(admission.admit(at("2001:db8:1:ffff::2")), undefined);
  assert.ok(admission.admit(at("2001:db8:1:fe00::1")));
  assert.ok(admission.admit(at("2001:db8:2:ff00::1")));
  assert.equal(stats.refused["connections-per-source"], 1);
});

test("every place is given back once", () => {
  const stats = createStreamStats();
  let empty = 0;
  const admission = new Admission({ ...defaultStreamLimits, connectionsPerSource: 2 }, stats, () => empty++);
  const [first, second] = [admission.admit(at("192.0.2.1"))!, admission.admit(at("192.0.2.1"))!];
  assert.deepEqual([stats.open, stats.halfOpen], [2, 2]);
  assert.equal(admission.sources, 1);
  first.settle();
  first.settle();
  assert.deepEqual([first.isHalfOpen, second.isHalfOpen], [false, true]);
  assert.deepEqual([stats.open, stats.halfOpen], [2, 1]);
  first.leave("client");
  first.leave("no-allocation");
  first.settle();
  assert.deepEqual([stats.open, stats.halfOpen, empty], [1, 1, 0]);
  second.leave("tls");
  assert.deepEqual([stats.open, stats.halfOpen, empty], [0, 0, 1]);
  assert.equal(admission.sources, 0);
  assert.deepEqual([stats.closed.client, stats.closed["no-allocation"], stats.closed.tls], [1, 0, 1]);
  assert.ok(admission.admit(at("192.0.2.1")));
  assert.ok(admission.admit(at("192.0.2.1")));
});

test("a connection that we opened has a place of no stranger's, and of no source's", () => {
  const stats = createStreamStats();
  let empty = 0;
  const admission = new Admission({ ...defaultStreamLimits, connections: 1 }, stats, () => empty++);
  const [ours, alsoOurs] = [admission.enter(), admission.enter()];
  assert.deepEqual([stats.open, stats.halfOpen, stats.accepted, admission.sources], [2, 0, 0, 0]);
  assert.equal(admission.admit(at("192.0.2.1")), undefined);
  ours.leave("client");
  alsoOurs.leave("client");
  assert.deepEqual([stats.open, empty], [0, 1]);
  assert.ok(admission.admit(at("192.0.2.1")));
  assert.equal(stats.accepted, 1);
});
