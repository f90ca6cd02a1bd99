/** Filters in the place of links, which kernels before 6.6 do not have: what `tc` sees of them. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Namespace } from "../../../../src/lab/namespace.ts";
import { type Child, startChild } from "../../../support/child.ts";
import { requireBpf, requirePeer, requirePrivilege } from "../../../support/peers.ts";
import { until } from "../../../support/until.ts";

const skip = requireBpf() || requirePrivilege("root", "sys-admin") || requirePeer("ip", "tc", "nsenter");
const script = fileURLToPath(new URL("attach.ts", import.meta.url));

describe("a program behind clsact", { skip, timeout: 120_000 }, () => {
  let place: Namespace;
  let indexes: string[];
  const children: Child[] = [];

  before(async () => {
    place = await Namespace.open("clsact");
    await place.ip("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up");
    indexes = await Promise.all(["v0", "v1"].map(indexOf));
  });
  after(async () => {
    for (const child of children) await child.stop("SIGKILL");
    await place?.close();
  });

  async function indexOf(device: string): Promise<string> {
    const [link] = JSON.parse(await place.run(["ip", "-j", "link", "show", device])) as [{ ifindex: number }];
    return String(link.ifindex);
  }

  async function attach(...where: readonly string[]): Promise<Child> {
    const child = await startChild([...place.enter, process.execPath, script, ...where], { holdInput: true });
    children.push(child);
    await until("it to be attached", () => child.output().includes("attached\n"), { within: 60_000 });
    return child;
  }

  /** By name, those that `tc` shows on an interface. */
  async function filters(device: string): Promise<string[]> {
    const shown = await place.run(["tc", "filter", "show", "dev", device, "ingress"]);
    assert.equal(shown.match(/direct-action/g)?.length, shown.match(/handle/g)?.length, shown);
    return [...shown.matchAll(/handle \S+ (\S+) direct-action/g)].map(([, name]) => name as string);
  }

  test("is shown what comes in, and is gone without a trace but the qdisc when it is closed", async () => {
    const child = await attach(...indexes);
    const [name, ...more] = await filters("v0");
    assert.match(name ?? "none", /^postern-[0-9a-f]{8}$/);
    assert.deepEqual([more, await filters("v1")], [[], [name]]);
    child.closeInput();
    await child.ended();
    assert.match(child.output(), /detached/);
    assert.deepEqual([await filters("v0"), await filters("v1")], [[], []]);
    assert.match(await place.run(["tc", "qdisc", "show", "dev", "v0"]), /clsact/);
  });

  test("what one left behind that was killed is removed by the next one, and nothing else", async () => {
    // Somebody else's, in the same place.
    const others = "prio 20559 protocol all bpf direct-action bytecode".split(" ");
    await place.run(["tc", "filter", "add", "dev", "v0", "ingress", ...others, "1,6 0 0 4294967295"]);
    await place.run([process.execPath, script, "--as", "postern-of-others", indexes[0]!]);
    const [killed, alive] = [await attach(...indexes), await attach(indexes[0]!)];
    const both = await filters("v1");
    process.kill(killed.pid, "SIGKILL");
    await killed.ended();
    assert.deepEqual(await filters("v1"), both, "nobody has removed it");
    const before = await filters("v0");
    const next = await attach();
    assert.deepEqual(await filters("v1"), []);
    assert.equal(before.length, 3);
    assert.deepEqual(
      await filters("v0"),
      before.filter((name) => name !== both[0]),
    );
    assert.match(await place.run(["tc", "filter", "show", "dev", "v0", "ingress"]), /bytecode/);
    for (const child of [alive, next]) {
      child.closeInput();
      await child.ended();
    }
  });

  test("an interface that has gone is no reason to fail", async () => {
    await place.ip("link add v2 type veth peer name v3");
    const child = await attach(await indexOf("v2"));
    await place.ip("link del v2");
    child.closeInput();
    assert.deepEqual(await child.ended(), { code: 0, signal: null });
  });
});
