/** The session of check --peer over real sockets on loopback: when the other machine is late, gone, or somebody else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Session } from "../../src/cli/check/peer/session.ts";
import type { IceRole } from "../../src/core/ice/config.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import { until } from "../support/until.ts";

const nat = Promise.resolve(undefined);

async function two() {
  const open = (role: IceRole) => IceConnection.open({ interfaces: ["lo"], role });
  const [one, other] = [await open("controlling"), await open("controlled")];
  const descriptions = [await one.localDescription(), await other.localDescription()] as const;
  return { one, other, descriptions, theirs: [descriptions[1], descriptions[0]] as const };
}

interface Given {
  readonly signal?: AbortSignal;
  readonly seconds?: number;
}

function sessionOf(
  connection: IceConnection,
  [own, peer]: readonly [string, string],
  { signal = new AbortController().signal, seconds = 0.5 }: Given = {},
) {
  const said: string[] = [];
  const progress = (text: string): void => void said.push(text);
  const session = new Session(connection, { own, peer, seconds, nat, signal, progress, onLikelyCause: () => {} });
  return { said, session };
}

test("nothing is said before the other machine is there, though its agent answers already", async () => {
  const { one, other, descriptions, theirs } = await two();
  await using _one = one;
  await using _other = other;
  const first = sessionOf(one, descriptions);
  const found = first.session.run();
  await until("the first to be connected", () => first.said.some((text) => text.includes("waiting for the other")));
  const second = sessionOf(other, theirs);
  for (const { outcome, speech, quality, peer } of await Promise.all([found, second.session.run()])) {
    assert.equal(outcome, "direct");
    assert.deepEqual(
      [speech!.sent, speech!.lost, speech!.heardHere.packets, speech!.heardThere!.packets],
      [25, 0, 25, 25],
    );
    assert.equal(quality!.level, "good");
    assert.match(peer.host!, /^127\.0\.0\.1:\d+$|^\[::1\]:\d+$/);
  }
});

test("Ctrl-C ends it while the other machine is waited for", async () => {
  const { one, other, descriptions } = await two();
  await using _one = one;
  await using _other = other;
  const abort = new AbortController();
  const { said, session } = sessionOf(one, descriptions, { signal: abort.signal });
  const found = session.run();
  await until("it to be connected", () => said.some((text) => text.includes("waiting for the other")));
  abort.abort(new Error("interrupted"));
  await assert.rejects(found, /interrupted/);
});

test("a machine that goes in the middle is lost speech, not a hanging end", async () => {
  const { one, other, descriptions, theirs } = await two();
  await using _one = one;
  const { said, session } = sessionOf(one, descriptions, { seconds: 2 });
  const found = session.run();
  const abort = new AbortController();
  const gone = sessionOf(other, theirs, { signal: abort.signal, seconds: 2 });
  void gone.session.run().catch(() => {});
  await until("speech", () => said.some((text) => text.startsWith("speaking, 1 of 2")));
  abort.abort(new Error("gone"));
  await other.close();
  const { speech } = await found;
  assert.equal(speech!.heardThere, undefined);
  assert.ok(speech!.lost > 0 && speech!.lost < 100, `${speech!.lost}`);
});

test("what is no description of ours is told", async () => {
  const { one, other, descriptions } = await two();
  await using _one = one;
  await using _other = other;
  const { session } = sessionOf(one, [descriptions[0], "hello"]);
  await assert.rejects(session.run(), { code: "bad-ice-description" });
});
