/**
 * The SIP edge in the middle of a call, sent messages of any kind by a provider, by a phone and by a stranger: nothing
 * throws, what is sent is SIP, a stranger is told nothing but to show a password, and in the end nothing is left.
 */
import assert from "node:assert/strict";
import type { UnixSeconds } from "../../src/core/base/machine.ts";
import { type Prefix, parsePrefix } from "../../src/core/base/prefix.ts";
import { parseMessage } from "../../src/core/sip/message/parse.ts";
import { Phone, sdpOf, World } from "../core/edge/world.ts";
import type { SeededRandom } from "../support/crypto.ts";
import type { Target } from "./target.ts";

const PROVIDER = {
  name: "provider",
  sources: [parsePrefix("198.18.0.5/32") as Prefix],
  media: [],
  target: undefined,
  host: "provider.example",
  prefixes: [],
  users: new Set<string>(),
};

interface Scene {
  readonly world: World;
  readonly provider: Phone;
  readonly bob: Phone;
  readonly stranger: Phone;
}

/** The provider has called Bob, who has answered. */
function scene(): Scene {
  const world = new World({ trunks: [PROVIDER] });
  const provider = new Phone(world, "provider", { outside: "198.18.0.5", inside: "198.18.0.5", port: 5060 });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  const stranger = new Phone(world, "mallory", { outside: "198.51.100.66" });
  const registeredAt = 1_700_000_000 as UnixSeconds;
  const binding = {
    ...{ aor: "sip:bob@example.org", contact: bob.contact, params: "", priority: 1000, instance: undefined },
    ...{ callId: "r", cseq: 1, path: [], userAgent: undefined, flow: bob.flow, registeredAt },
    expiresAt: (registeredAt + 3_000) as UnixSeconds,
  };
  world.edge.restore([binding], world.now);
  world.settle();
  provider.send(provider.invitation("bob", "call"));
  bob.answer(180);
  bob.answer(200);
  provider.send(provider.within(provider.response, "ACK", { cseq: 1 }));
  return { world, provider, bob, stranger };
}

/** Messages that fit the scene, so that some of what is made from them gets far. */
function messages(): Uint8Array[] {
  const { provider, bob } = scene();
  const [answer, invite] = [provider.response, bob.request("INVITE")];
  const texts = [
    provider.invitation("bob", "other").format(),
    provider.invitation("bob", "late", "").format(),
    provider.invitation("echo").format(),
    answer.format(),
    ...["BYE", "INFO", "REFER"].map((method) => provider.within(answer, method, { cseq: 9 }).format()),
    ...["BYE", "UPDATE", "PRACK"].map((method) => bob.within(invite, method, { cseq: 9, body: bob.sdp() }).format()),
    provider.within(answer, "INVITE", { cseq: 10, body: sdpOf(answer).format() }).format(),
    provider.within(answer, "ACK", { cseq: 1, body: provider.sdp() }).format(),
    bob.registration([["Expires", "60"]]).format(),
    provider
      .lastInvite()
      .format()
      .replace(/^INVITE/, "CANCEL")
      .replace("1 INVITE", "1 CANCEL"),
  ];
  return texts.map((text) => Buffer.from(text, "latin1"));
}

function textOf(input: Uint8Array): string {
  return Buffer.from(input.buffer, input.byteOffset, input.length).toString("latin1");
}

const seeds = messages();

/** A message that fits with a piece of `input` in one of its lines: broken all over, nothing gets past the parser. */
function withPiece(input: Uint8Array, random: SeededRandom): Uint8Array {
  const lines = textOf(random.pick(seeds)).split("\r\n");
  const at = random.below(lines.length);
  const line = lines[at] as string;
  const from = random.below(line.length + 1);
  const printable = textOf(input).replace(/[^ -~]/g, "");
  const piece = printable.slice(random.below(printable.length + 1)).slice(0, random.below(8));
  lines[at] = line.slice(0, from) + piece + line.slice(from + random.below(4));
  return Buffer.from(lines.join("\r\n"), "latin1");
}

export const sipEdgeTarget: Target = {
  name: "sip-edge",
  oneIn: 50,
  seeds,
  repair: (input, random) => (random.oneIn(4) ? input : withPiece(input, random)),
  run(input: Uint8Array, random: SeededRandom): boolean {
    const { world, provider, bob, stranger } = scene();
    const text = textOf(input);
    const [asked, got] = [bob.requests.length, provider.responses.length + provider.requests.length];
    for (const phone of [stranger, provider, bob]) {
      world.deliver(text, phone.flow);
      if (random.oneIn(3)) world.deliver(text, phone.flow);
    }
    for (const { status } of stranger.responses) assert.ok(status === 401 || status === 407, `${status}`);
    assert.deepEqual(stranger.requests, []);
    for (const { text: sent } of world.astray) assert.notEqual(parseMessage(sent).kind, "failure", sent);
    const isAccepted = bob.requests.length > asked || provider.responses.length + provider.requests.length > got;
    if (random.oneIn(2) && bob.requests.at(-1)?.method === "INVITE") bob.answer(random.pick([180, 200, 302, 486, 603]));
    // Longer than any timer, the registration's too: the phone answers probes until then.
    world.pass(4_000_000);
    assert.equal(world.ports.size, 0);
    assert.deepEqual(world.edge.calls(), []);
    return isAccepted;
  },
  decode: (input) => void parseMessage(textOf(input)),
};
