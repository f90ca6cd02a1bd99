/** Every datapath between two network namespaces: what comes has crossed a virtual link, and the kernel forwards where it may. */
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import type { Datapath } from "../../../src/node/datapath/datapath.ts";
import { DgramDatapath } from "../../../src/node/datapath/dgram.ts";
import { EbpfDatapath } from "../../../src/node/datapath/ebpf/ebpf.ts";
import { ownProgram } from "../../../src/node/datapath/ebpf/program-source.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { requireBpf, requireForeign, requireIpv6, requirePeer, requirePrivilege } from "../../support/peers.ts";
import { datapathCompliance } from "./compliance.ts";
import { at, LinkedHosts } from "./ebpf/over-links.ts";

const linked = requireForeign() || requirePrivilege("root", "sys-admin") || requireIpv6() || requirePeer("ip");
const offloads = linked || requireBpf();

const reports = { flowFailed: assert.ifError, stoodDown: assert.fail, changed: assert.ifError };
const offloading = (inner: Datapath) => new EbpfDatapath(inner, ownProgram(), reports);

for (const [name, skip, create] of [
  ["dgram", linked, () => new DgramDatapath()],
  ["mmsg", linked, () => new MmsgDatapath()],
  ["offloading mmsg", offloads, () => offloading(new MmsgDatapath())],
  ["offloading dgram", offloads, () => offloading(new DgramDatapath())],
] as const) {
  describe("over a virtual link", { skip }, () => {
    let hosts: LinkedHosts;

    before(async () => {
      hosts = await LinkedHosts.open();
    });
    after(() => hosts[Symbol.asyncDispose]());

    datapathCompliance(name, create, skip, {
      ...{ near: at.relay, far: at.far, isLinked: true },
      away: (work) => hosts.away(work),
    });
  });
}
