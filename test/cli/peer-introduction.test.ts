/** How long codes and lines are good for, with a lifetime of the test's own. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { joinByCode, readCode, waitWithCode } from "../../src/cli/check/peer/introduction.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";
import type { RelayUnderTest } from "../support/relay-under-test.ts";

describe("introductions", () => {
  let relay: RelayUnderTest;
  let url: string;
  before(async () => {
    const port = await freePort();
    relay = await startPostern({
      ...{ addresses: ["127.0.0.1"], user: { name: "alice", password: "wonderland" }, port, tlsPort: await freePort() },
      ...{ relayPorts: await freePortRange(64), allowPeers: ["127.0.0.0/8"] },
    });
    url = `turn:127.0.0.1:${port}`;
  });
  after(() => relay.stop());

  const options = (lifetime: number, signal = new AbortController().signal) => {
    const said: string[] = [];
    return { said, lifetime, signal, say: (text: string) => void said.push(text), progress: () => {} };
  };
  const login = (credential = "wonderland", transport = "udp") => {
    return { url: `${url}?transport=${transport}`, username: "alice", credential };
  };

  test("the code is told with the command that takes it, and when nobody comes, that is told", async () => {
    const given = options(500);
    await using first = await waitWithCode([login()], `postern check ${url} --peer`, given);
    assert.match(given.said[0]!, /^Code: (\S+)\n\nOn the other machine.*\n {2}postern check turn:\S+ --peer \1\n$/);
    await assert.rejects(first.exchange("one"), { code: "nobody-came", message: /within 0\.5 seconds/ });
  });

  test("both have the other's description; it may come before the first is ready to tell its own", async () => {
    const given = options(600_000);
    await using first = await waitWithCode([login()], "postern check --peer", given);
    const code = readCode(/^Code: (\S+)$/m.exec(given.said[0]!)![1]!);
    assert.match(given.said[0]!, /within 10 minutes/);
    await using second = await joinByCode([login("wonderland", "tcp")], code, options(600_000));
    const found = second.exchange("two");
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(await Promise.all([first.exchange("one"), found]), ["two", "one"]);
  });

  test("the next way is tried where one gives nothing; what can be done about it is what is told", async () => {
    const nobody = { ...login(), url: `turn:127.0.0.1:${await freePort()}?transport=tcp` };
    await using first = await waitWithCode([nobody, login()], "postern check --peer", options(1_000));
    assert.ok(first);
    const wrong = waitWithCode([nobody, login("looking glass")], "postern check --peer", options(1_000));
    await assert.rejects(wrong, { code: "unauthenticated" });
    await assert.rejects(waitWithCode([], "postern check --peer", options(1_000)), { code: "no-relay-named" });
  });

  test("Ctrl-C ends the waiting with its own reason", async () => {
    const abort = new AbortController();
    await using first = await waitWithCode([login()], "postern check --peer", options(600_000, abort.signal));
    const waiting = first.exchange("one");
    abort.abort(new Error("interrupted"));
    await assert.rejects(waiting, /interrupted/);
  });

  test("what is no code is told before anything is asked", () => {
    assert.throws(() => readCode("0123-456"), { code: "bad-code", message: /mistyped/ });
  });
});
