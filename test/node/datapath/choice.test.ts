import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { chooseDatapath } from "../../../src/node/datapath/choice.ts";
import { createDatapath } from "../../../src/node/datapath/creation.ts";
import { DgramDatapath } from "../../../src/node/datapath/dgram.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { requireForeign } from "../../support/peers.ts";

test("the batched datapath is chosen where foreign functions can be called", { skip: requireForeign() }, async () => {
  assert.deepEqual(chooseDatapath("auto"), { kind: "mmsg" });
  assert.deepEqual(chooseDatapath("mmsg"), { kind: "mmsg" });
  assert.deepEqual(chooseDatapath("dgram"), { kind: "dgram" });
  await using datapaths = new AsyncDisposableStack();
  const mmsg = datapaths.adopt(createDatapath("mmsg"), (datapath) => datapath.close());
  assert.ok(mmsg instanceof MmsgDatapath);
  assert.ok(createDatapath("dgram") instanceof DgramDatapath);
});

test("without koffi Node's sockets are chosen, which says why, and the other refuses", async () => {
  // Away from node_modules there is none.
  const directory = await mkdtemp(join(tmpdir(), "postern-bare-"));
  try {
    await cp(join(import.meta.dirname, "../../../src"), join(directory, "src"), { recursive: true });
    const program = `
      import { chooseDatapath } from "${join(directory, "src/node/datapath/choice.ts")}";
      const { kind, because } = chooseDatapath("auto");
      let refusal;
      try { chooseDatapath("mmsg"); } catch (error) { refusal = error.code; }
      console.log(JSON.stringify({ kind, because: because?.code, refusal }));`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
    assert.deepEqual(JSON.parse(stdout), {
      kind: "dgram",
      ...(requireForeign() === false && { because: "MODULE_NOT_FOUND" }),
      refusal: "foreign-functions-unavailable",
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
