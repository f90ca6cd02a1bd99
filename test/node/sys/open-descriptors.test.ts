import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createDescriptorRecord,
  noteClosing,
  noteGiven,
  noteOpened,
  openDescriptors,
  recordDescriptorsIn,
} from "../../../src/node/sys/open-descriptors.ts";

test("what is open is what was opened, or given, and not closed since", () => {
  const record = createDescriptorRecord(64);
  recordDescriptorsIn(record);
  for (const descriptor of [0, 31, 32, 63]) noteOpened(descriptor);
  noteGiven(40, record);
  noteClosing(31);
  assert.deepEqual([...openDescriptors(record)], [0, 32, 40, 63]);
});

test("a descriptor that there is no room for is opened and closed all the same", () => {
  const record = createDescriptorRecord(64);
  recordDescriptorsIn(record);
  assert.equal(noteOpened(64), 64);
  noteGiven(1 << 20, record);
  noteClosing(64);
  assert.deepEqual([...openDescriptors(record)], []);
});
