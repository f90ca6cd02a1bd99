import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { loadPacketProgram, VerifierError } from "../../../../src/node/sys/bpf.ts";
import { generate, installedCompiler, modulePath, pinnedCompiler } from "../../../../tools/ebpf.ts";
import { requireBpf, requireCompiler } from "../../../support/peers.ts";

const skip = requireCompiler(pinnedCompiler, installedCompiler());

test("the committed program is what its source compiles to", { skip }, () => {
  assert.equal(generate(), readFileSync(modulePath, "utf8"), "run `node tools/ebpf.ts` and commit the result");
});

test("what the verifier has against a program is said", { skip: requireBpf() }, () => {
  // r0 is not set: exit.
  const exit = Buffer.from("9500000000000000", "hex");
  assert.throws(
    () => loadPacketProgram("wrong", exit, "GPL"),
    (error) => error instanceof VerifierError && error.code === "EACCES" && /R0 !read_ok/.test(error.message),
  );
});
