import assert from "node:assert/strict";
import { test } from "node:test";
import { mayHaveOlderTable } from "../../../src/node/sys/netfilter.ts";

const modules = (...names: readonly string[]) => names.map((name) => `${name} 32768 1 - Live 0x0\n`).join("");

test("who may not read which tables iptables has is told by modules that there is none, or nothing", () => {
  const cases: readonly (readonly [readonly string[], false | undefined])[] = [
    [["nf_tables", "ip_tables", "iptable_filter"], false],
    [["ip6_tables", "ip6table_filter"], false],
    [["ip_tables", "iptable_filter", "iptable_nat"], undefined],
    [["ip_tables", "ip6_tables", "ip6table_nat"], undefined],
    // Built into the kernel, all of it perhaps.
    [["nf_nat", "nft_chain_nat"], undefined],
    [[], undefined],
  ];
  for (const [names, expected] of cases)
    assert.equal(mayHaveOlderTable("nat", modules(...names)), expected, names.join());
});
