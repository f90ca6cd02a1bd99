/** What it takes to forward in the kernel: two capabilities, and no root. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { peerPath, requireBpf, requirePeer, requirePrivilege } from "../../../support/peers.ts";

const skip = requireBpf() || requirePrivilege("root") || requirePeer("setpriv");

/** As a user who has nothing else. */
async function offloadWith(...capabilities: readonly string[]): Promise<{ isThere: boolean; because: string }> {
  const set = ["-all", ...capabilities.map((name) => `+${name}`)].join(",");
  const script = fileURLToPath(new URL("offload.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(peerPath("setpriv")!, [
    ...["--reuid", "65534", "--regid", "65534", "--clear-groups"],
    ...[`--inh-caps=${set}`, `--ambient-caps=${set}`, `--bounding-set=${set}`],
    ...[process.execPath, script],
  ]);
  return JSON.parse(stdout);
}

describe("offload", { skip }, () => {
  test("takes CAP_BPF and CAP_NET_ADMIN, and nothing else", async () => {
    assert.deepEqual(await offloadWith("bpf", "net_admin"), { isThere: true, because: "undefined" });
  });

  test("without them says what to grant, and the datapath is there without it", async () => {
    for (const few of [[], ["bpf"], ["net_admin"]]) {
      const { isThere, because } = await offloadWith(...few);
      assert.equal(isThere, false, few.join());
      assert.match(
        because,
        /CAP_BPF and CAP_NET_ADMIN.*postern-helper.service.*--cap-add BPF.*datapaths.md#what-offload-needs/,
      );
    }
  });
});
