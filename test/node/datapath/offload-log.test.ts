import assert from "node:assert/strict";
import { test } from "node:test";
import { PosternError } from "../../../src/core/base/failure.ts";
import { offloadReports } from "../../../src/node/datapath/offload-log.ts";
import { type Log, silentLog } from "../../../src/node/log.ts";
import { SystemError } from "../../../src/node/sys/system-error.ts";

const [ENOENT, EPERM] = [2, 1];

test("why offload is off is a code and a sentence, which names the cause once", () => {
  const said: unknown[] = [];
  const log: Log = { ...silentLog, warn: (fields: object) => void said.push(fields) };
  const { changed } = offloadReports(log);
  const cause = new SystemError("connect", ENOENT);
  changed(new PosternError("one", "It is forbidden.", { cause: new SystemError("bpf", EPERM) }));
  changed(new PosternError("two", "Nobody is there (ENOENT): start it.", { cause }));
  changed(new PosternError("three", "It has ended."));
  assert.deepEqual(said, [
    { code: "one", problem: "It is forbidden (bpf EPERM)." },
    { code: "two", problem: "Nobody is there (ENOENT): start it." },
    { code: "three", problem: "It has ended." },
  ]);
});
