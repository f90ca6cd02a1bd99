/**
 * Real phones whose media does not go through the server: by policy, within a site, and because they speak ICE. What passed
 * where is counted on every host.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NatName } from "../../src/lab/nats.ts";
import { type Passage, passagesOf } from "../../src/lab/passages.ts";
import { plan } from "../../src/lab/topology.ts";
import type { ShownCall } from "../../src/server/services/sip/shown.ts";
import { runChild } from "../support/child.ts";
import { postern } from "../support/daemon.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { through } from "./networks.ts";
import type { Baresip } from "./sip/baresip.ts";
import { Office, serverHost } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, holdAndResume, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "ip", "nft", "setpriv", "unshare", "nsenter");

const users = ["alice", "bob"];

/** Packets of sound that came to the server or left it. */
async function relayed(office: Office): Promise<number> {
  const passages = await passagesOf(office.network.at("server"));
  return sum(passages, ({ protocol, destination, source, direction }) => {
    const own = direction === "arrived" ? destination : source;
    const port = Number(own.split(":")[1]);
    return protocol === "udp" && port >= 40_000 && port <= 40_999 && port % 2 === 0;
  });
}

function sum(passages: readonly Passage[], isMeant: (one: Passage) => boolean): number {
  return passages.filter(isMeant).reduce((all, { packets }) => all + packets, 0);
}

/** The record of the call that has ended. */
function ended(office: Office): Promise<Record<string, unknown>> {
  return until("the call's record", () => office.logged("call-ended").at(-1));
}

async function heardEachOther(one: Baresip, other: Baresip): Promise<void> {
  await assertHeardOnly(one, other);
  await assertHeardOnly(other, one);
}

/** The messages that a phone has got and sent, as its trace shows them: `BYE sip:…`. */
function traced(phone: Baresip, method: string): string[] {
  return phone.log.split("\n").filter((line) => line.startsWith(`${method} sip:`));
}

describe("media that is not relayed", { skip, concurrency: 3 }, () => {
  test("L6: the trapezoid in full: after the answer nothing of the call comes to the server", async () => {
    const topology = { outside: ["server", "alice", "bob"], sites: [] };
    await using office = await Office.open(topology, { users, flags: ["--sip-media", "direct"] });
    const [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440 }),
      office.phone("bob", { user: "bob", tone: 1_000 }),
    ]);
    await connect(alice, bob);
    const { end, direct } = await ended(office);
    assert.deepEqual([end, direct], ["end not observed", "policy"]);
    // Registrations and probes go on: what is counted is between the phones.
    const [one, other] = [office.network.addressOf("alice"), office.network.addressOf("bob")];
    const signaling = async () => {
      return sum(await passagesOf(office.network.at("bob")), ({ direction, source, destination }) => {
        return direction === "arrived" && source === `${one}:5060` && destination === `${other}:5060`;
      });
    };
    await until("the ACK to come directly", async () => (await signaling()) === 1);
    await talk(alice, bob);
    await hangUp(alice, bob);
    assert.equal(await signaling(), 2, "ACK and BYE");
    await heardEachOther(alice, bob);
    assert.equal(await relayed(office), 0);
    assert.ok(traced(bob, "BYE").every((line) => line.startsWith(`BYE sip:bob-`) || line.startsWith("BYE sip:bob@")));
    assert.equal(bob.log.includes("Record-Route"), false);
    assert.equal(office.daemon.child.output().includes('"method":"BYE"'), false);
    assert.deepEqual(await office.told<ShownCall>("calls"), []);
    const { dataDir, ports } = office.daemon;
    const flags = ["--ended", "--data-dir", dataDir, "--http-listen", `127.0.0.1:${ports.httpPort}`];
    const words = await runChild([...through(office.network.at("server")), ...postern("calls", ...flags)]);
    assert.match(words, /alice .* to bob .*: answered after \d+ s, went direct: end not observed/);
  });

  test("with the policy direct a phone behind a NAT is anchored all the same", async () => {
    const topology = {
      outside: ["server", "alice"],
      sites: [{ name: "home", hosts: ["bob"], gateways: [{ nat: "symmetric, random" as const }] }],
    };
    await using office = await Office.open(topology, { users, flags: ["--sip-media", "direct"] });
    const [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440 }),
      office.phone("bob", { user: "bob", tone: 1_000 }),
    ]);
    await connect(alice, bob);
    await talk(alice, bob);
    await hangUp(alice, bob);
    await heardEachOther(alice, bob);
    assert.equal((await ended(office))["end"], "hung up by caller");
  });

  test("within a site behind a NAT media stays there, on hold and after it; signaling does not", async () => {
    const gateways = [{ nat: "port-restricted cone" as const }];
    const topology = { outside: ["server"], sites: [{ name: "house", hosts: ["alice", "bob"], gateways }] };
    const { hosts, gateways: planned } = plan(topology);
    const inside = hosts.filter(({ name }) => name !== "server").flatMap(({ addresses }) => addresses.slice(0, 1));
    const outside = planned[0]?.outside ?? assert.fail();
    const flags = ["--sip-sites", `house hosts=${inside.join()} behind=${outside}`];
    await using office = await Office.open(topology, { users, flags });
    const [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440 }),
      office.phone("bob", { user: "bob", tone: 1_000 }),
    ]);
    await connect(alice, bob);
    await talk(alice, bob);
    const [call] = await office.told<ShownCall>("calls");
    assert.deepEqual([call?.direct, call?.site, call?.streams], ["site", "house", []]);
    await holdAndResume(office.network, bob, alice);
    await hangUp(bob, alice);
    await heardEachOther(alice, bob);
    assert.equal(await relayed(office), 0);
    const { end, site } = await ended(office);
    assert.deepEqual([end, site], ["hung up by callee", "house"]);
  });
});

interface Cell {
  readonly title: string;
  readonly nats: readonly [NatName, NatName];
  /** Who speaks ICE. */
  readonly speaks: readonly [boolean, boolean];
  readonly isDirect: boolean;
}

const cells: readonly Cell[] = [
  {
    title: "the caller alone",
    ...{ nats: ["symmetric, random", "port-restricted cone"], speaks: [true, false], isDirect: false },
  },
  {
    title: "who is called alone",
    ...{ nats: ["port-restricted cone", "symmetric, random"], speaks: [false, true], isDirect: false },
  },
  {
    title: "both, through cone NATs: they find a way without us",
    ...{ nats: ["port-restricted cone", "port-restricted cone"], speaks: [true, true], isDirect: true },
  },
  {
    title: "both, through symmetric NATs: the way through us is the one that works",
    ...{ nats: ["symmetric, random", "symmetric, random"], speaks: [true, true], isDirect: false },
  },
];

describe("phones that speak ICE", { skip, concurrency: 2 }, () => {
  for (const { title, nats, speaks, isDirect } of cells) {
    test(title, async () => {
      const topology = {
        outside: ["server"],
        sites: users.map((user, i) => ({ name: `${user}'s`, hosts: [user], gateways: [{ nat: nats[i] as NatName }] })),
      };
      await using office = await Office.open(topology, { users });
      const account = `medianat=ice;stunserver="stun:${serverHost}:${office.daemon.ports.port}"`;
      const [alice, bob] = (await Promise.all(
        users.map((user, i) => {
          return office.phone(user, { user, tone: i === 0 ? 440 : 1_000, ...(speaks[i] === true && { account }) });
        }),
      )) as [Baresip, Baresip];
      await connect(alice, bob);
      await talk(alice, bob);
      const before = await relayed(office);
      const ices = (await office.told<ShownCall>("calls"))[0]?.streams.map(({ ice }) => ice);
      const both = speaks.every(Boolean);
      assert.ok(ices?.includes(both ? "passes" : speaks[0] ? "ends" : null), JSON.stringify(ices));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const more = (await relayed(office)) - before;
      assert.ok(isDirect ? more === 0 : more > 100, `${more} packets of sound`);
      await hangUp(bob, alice);
      await heardEachOther(alice, bob);
      assert.equal((await ended(office))["end"], "hung up by callee");
    });
  }
});

describe("DTLS-SRTP from phone to phone", { skip, concurrency: 2 }, () => {
  const config = ["module dtls_srtp.so"];

  test("through symmetric NATs, with ICE: handshake and sound go through us", async () => {
    const topology = {
      outside: ["server"],
      sites: users.map((user) => ({
        ...{ name: `${user}'s`, hosts: [user], gateways: [{ nat: "symmetric, random" as const }] },
      })),
    };
    await using office = await Office.open(topology, { users });
    const stun = `stunserver="stun:${serverHost}:${office.daemon.ports.port}"`;
    const account = `medianat=ice;${stun};mediaenc=dtls_srtp`;
    const [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440, account, config }),
      office.phone("bob", { user: "bob", tone: 1_000, account, config }),
    ]);
    await connect(alice, bob);
    await talk(alice, bob);
    await hangUp(bob, alice);
    await heardEachOther(alice, bob);
    for (const { log } of [alice, bob]) {
      assert.match(log, /m=audio \d+ UDP\/TLS\/RTP\/SAVPF/);
      assert.match(log, /wait_secure=1/, "no sound before the handshake is over");
    }
  });

  test("without ICE, who begins the handshake behind a NAT, the other on the internet", async () => {
    const gateways = [{ nat: "symmetric, random" as const }];
    const topology = { outside: ["server", "alice"], sites: [{ name: "home", hosts: ["bob"], gateways }] };
    await using office = await Office.open(topology, { users });
    const account = "mediaenc=dtls_srtp";
    const [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440, account, config }),
      office.phone("bob", { user: "bob", tone: 1_000, account, config }),
    ]);
    await connect(alice, bob);
    await talk(alice, bob);
    await hangUp(alice, bob);
    await heardEachOther(alice, bob);
    assert.ok((await relayed(office)) > 100);
  });
});
