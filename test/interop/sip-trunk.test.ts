/** Kamailio as a provider, known by its address or its name: calls go out through it and come in, with sound both ways. */
import { globSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Child } from "../support/child.ts";
import { peerPath, requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { Baresip } from "./sip/baresip.ts";
import { Office, serverHost } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "kamailio", "ip", "nft", "setpriv", "unshare", "nsenter");
const topology = {
  outside: ["server", "provider", "exchange"],
  sites: [{ name: "home", hosts: ["alice"], gateways: [{ nat: "symmetric, random" } as const] }],
};
const [provider, exchange] = ["203.0.113.61", "203.0.113.62"];
const number = "+4930123456";

/** Its first server is not there. */
const names = {
  "SRV _sip._udp.provider.example": ["10 0 5060 gone.provider.example", "20 0 5060 gate.provider.example"],
  "SRV _sip._tcp.provider.example": ["10 0 5060 gate.provider.example"],
  "A gone.provider.example": ["203.0.113.63"],
  "A gate.provider.example": [provider],
};
const trunks = {
  "its address": `provider from=${provider} media=${exchange} to=udp:${provider}:5060 prefixes=+ users=alice`,
  "its name, whose first server is gone": `provider media=${exchange} to=provider.example prefixes=+ users=alice`,
  "its name, over TCP": `provider media=${exchange} to=sip:provider.example;transport=tcp prefixes=+ users=alice`,
};

async function startKamailio(office: Office, home: string): Promise<Child> {
  const template = await readFile(new URL("sip/kamailio.cfg", import.meta.url), "utf8");
  const modules = globSync("/usr/lib/*/kamailio/modules")[0] as string;
  const words = { HERE: provider, EXCHANGE: exchange, POSTERN: serverHost, MODULES: modules };
  const config = Object.entries(words).reduce((text, [word, value]) => text.replaceAll(word, value), template);
  const path = join(home, "kamailio.cfg");
  await writeFile(path, config);
  const memory = ["-m", "64", "-M", "8"];
  const child = await office.start("provider", [peerPath("kamailio")!, "-DD", "-E", ...memory, "-f", path, "-Y", home]);
  await until("Kamailio to listen", async () => {
    return (await office.network.at("provider").run(["ss", "-Hlun"])).includes(`${provider}:5060`);
  });
  return child;
}

for (const [by, trunk] of Object.entries(trunks)) {
  describe(`a trunk to Kamailio by ${by}`, { skip }, () => {
    let office: Office;
    let home: string;
    let alice: Baresip;
    let desk: Baresip;
    before(async () => {
      home = await mkdtemp(join(tmpdir(), "postern-kamailio-"));
      office = await Office.open(topology, { users: ["alice"], flags: ["--sip-trunks", trunk], names });
      await startKamailio(office, home);
      if (trunk.includes("provider.example")) {
        await until("the name", () => office.logged("trunk-name-resolved").length > 0);
      }
      alice = await office.phone("alice", { user: "alice", tone: 440 });
      const account = { user: number, tone: 1_000, domain: exchange, server: `${provider}:5060`, expires: 0 };
      desk = await office.phone("exchange", account, "not awaited");
    });
    after(async () => {
      await office?.[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    });

    test("a user calls a number through it", async () => {
      await connect(alice, desk, `sip:${number}@example.org`);
      await talk(alice, desk);
      await hangUp(desk, alice);
      await assertHeardOnly(alice, desk);
      await assertHeardOnly(desk, alice);
    });

    test("it calls a user", async () => {
      await connect(desk, alice, `sip:alice@${provider}`);
      await talk(desk, alice);
      await hangUp(desk, alice);
      await assertHeardOnly(alice, desk);
      await assertHeardOnly(desk, alice);
    });
  });
}
