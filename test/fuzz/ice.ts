/**
 * The ICE agent, fed with what anybody may send it, in each of its phases: whatever comes, nothing throws, little is sent,
 * and nothing changes but by who knows the passwords. What knows them (and repeats, contradicts or lies) may change much,
 * but within bounds.
 */
import assert from "node:assert/strict";
import { copyAddress } from "../../src/core/base/address.ts";
import { encodeUtf8 } from "../../src/core/base/utf8.ts";
import type { IceRole } from "../../src/core/ice/config.ts";
import { hasIntegritySha1 } from "../../src/core/stun/integrity.ts";
import { Attribute } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { StunWriter } from "../../src/core/stun/writer.ts";
import { candidate, OWN, PEER, PEERS, Solo } from "../core/ice/solo.ts";
import { type SeededRandom, testCrypto } from "../support/crypto.ts";
import type { Target } from "./target.ts";

/** More than any one message makes the agent send and tell. */
const MOST_OUTPUTS = 12;
const ROLES: readonly IceRole[] = ["controlling", "controlled"];

/** 0 knows no peer, 1 checks, 2 is connected; and a lite one. */
const PHASES = 4;

/** The same seed: the same credentials and transaction IDs in every run. */
function reach(phase: number, role: IceRole): Solo {
  const solo = new Solo({ role, isLite: phase === 3 }, 5);
  if (phase === 0) return solo.gather();
  solo.begin(candidate("198.51.100.7:2000"), candidate("198.51.100.8:2000", "srflx", { foundation: "s" }));
  if (phase !== 2) return solo;
  if (role === "controlled") solo.check({ useCandidate: true });
  solo.run(60).answer();
  solo.run(60);
  if (role === "controlling") solo.answer();
  assert.equal(solo.agent.state, "connected");
  return solo;
}

const sample = reach(1, "controlling");
const requests = ROLES.flatMap((role) => [1, 2].flatMap((phase) => reach(phase, role).run(7_000).requests));
const ids: readonly Uint8Array[] = requests.map(({ view }) => view.data.slice(4, 20));
const keys = [sample.agent.credentials?.password as string, PEERS.password].map((password) =>
  testCrypto.importKey(encodeUtf8(password)),
);

const seeds: readonly Uint8Array[] = [
  sample.checkBytes(),
  sample.checkBytes({ useCandidate: true }),
  sample.checkBytes({ role: "controlling", tieBreaker: new Uint8Array(8).fill(0xff) }),
  sample.checkBytes({ role: "controlled", tieBreaker: new Uint8Array(8) }),
  sample.checkBytes({ priority: 1, fill: (writer) => writer.u32(0x7777, 1) }),
  sample.answerBytes(sample.lastRequest()),
  sample.answerBytes(sample.lastRequest(), PEER),
  sample.errorBytes(sample.lastRequest(), 487),
  sample.errorBytes(sample.lastRequest(), 400),
  Uint8Array.of(0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
];

const view = new StunView();

function isSealed(data: Uint8Array): boolean {
  return view.decode(data.slice()) === undefined && keys.some((key) => hasIntegritySha1(view, testCrypto, key));
}

/** Gives the message a length that fits, sometimes the ID of a request, and sometimes a seal. */
function repaired(input: Uint8Array, random: SeededRandom): Uint8Array {
  if (input.length < 20 || (input[0] as number) >= 0x40 || random.oneIn(5)) return input;
  const out = input.slice(0, input.length - (input.length % 4));
  if (random.oneIn(2)) out.set(random.pick(ids), 4);
  new DataView(out.buffer).setUint16(2, out.length - 20);
  if (random.oneIn(6) || view.decode(out) === "bad-attribute") return out;
  const writer = new StunWriter().begin(view.method, view.class, out.slice(4, 20));
  for (let i = 0; i < view.attributeCount; i++) {
    const type = view.typeAt(i);
    const isSeal = type === Attribute.MessageIntegrity || type === Attribute.Fingerprint;
    if (!isSeal) writer.bytes(type, view.bytesAt(i));
  }
  return writer.integritySha1(testCrypto, random.pick(keys)).fingerprint().finish();
}

/** What only who knows a password may change. */
function standing({ agent }: Solo): string {
  const report = agent.report(0);
  const pairs = report?.pairs.map((pair) => [pair.state, pair.isValid, pair.isHeard, pair.isSelected, pair.failure]);
  return JSON.stringify([agent.role, agent.state, report?.remote.length, pairs, agent.credentials]);
}

export const iceTarget: Target = {
  name: "ice",
  oneIn: 10,
  seeds,
  repair: repaired,
  run(input: Uint8Array, random: SeededRandom): boolean {
    const solo = reach(random.below(PHASES), random.pick(ROLES));
    const before = [standing(solo), solo.sent.length, solo.events.length] as const;
    const from = copyAddress(random.oneIn(3) ? { ...PEER, port: 1 + random.below(65_535) } : PEER);
    const isData = solo.deliver(input.slice(), from);
    assert.ok(solo.sent.length + solo.events.length - before[1] - before[2] <= MOST_OUTPUTS);
    if (isData) assert.ok(solo.pair(from)?.isHeard === true, "data is taken from who has proven to be there");
    const isChanged = standing(solo) !== before[0];
    if (!isSealed(input)) assert.ok(!isChanged, "only who knows a password changes anything");
    const isAccepted = isData || isChanged || solo.sent.length > before[1];
    for (const again of [input, random.pick(seeds)]) solo.deliver(again.slice(), from);
    // Whatever it was, the agent goes on: it paces, repeats, gives up, and closes.
    solo.run(3_000);
    assert.ok(solo.requests.every(({ view: { data } }) => data.length < 300));
    solo.do((agent) => agent.close(solo.now));
    assert.equal(solo.agent.pollTimeout(), undefined);
    return isAccepted;
  },
  decode: (input) => void steady.agent.handleDatagram(1, OWN, input, steady.now),
};

/** For the count of steps: it is fed without being drained or closed. */
const steady: Solo = reach(2, "controlling");
