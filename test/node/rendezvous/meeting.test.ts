/** Two machines that meet inside a real TURN server: Postern and coturn. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { parseIp } from "../../../src/core/base/address.ts";
import { formatCode, parseCode } from "../../../src/core/rendezvous/code.ts";
import { Meeting } from "../../../src/node/rendezvous/meeting.ts";
import { TurnAllocation } from "../../../src/node/turn-client/turn-allocation.ts";
import { startCoturn } from "../../support/coturn.ts";
import { requirePeer } from "../../support/peers.ts";
import { freePort, freePortRange } from "../../support/ports.ts";
import { startPostern } from "../../support/postern.ts";
import type { RelayUnderTest } from "../../support/relay-under-test.ts";

const user = { name: "alice", password: "wonderland" };
const long = "a=candidate:1 1 udp 2130706431 192.0.2.10 40000 typ host\r\n".repeat(60);
const never = new AbortController().signal;

for (const [name, start] of Object.entries({ postern: startPostern, coturn: startCoturn })) {
  suite(`inside ${name}`, { skip: name === "coturn" && requirePeer("turnserver") }, () => {
    let relay: RelayUnderTest;
    let port: number;
    before(async () => {
      port = await freePort();
      relay = await start({
        ...{ addresses: ["127.0.0.1"], user, port, tlsPort: await freePort() },
        ...{ relayPorts: await freePortRange(64), allowPeers: ["127.0.0.0/8"] },
      });
    });
    after(() => relay.stop());

    const login = (transport = "udp") => ({
      url: `turn:127.0.0.1:${port}?transport=${transport}`,
      username: user.name,
      credential: user.password,
    });

    for (const transport of ["udp", "tcp"]) {
      test(`long texts are exchanged, also where the second comes over ${transport}`, async () => {
        await using first = await Meeting.open(login());
        const waiting = first.exchange("the first's", never);
        await using second = await Meeting.open(login(transport), parseCode(first.code)!);
        assert.equal(await second.exchange(long, never), "the first's");
        assert.equal(await waiting, long);
        await Promise.all([first.settle(never), second.settle(never)]);
      });
    }

    test("a second machine with the same code is refused, and a stranger inside the server is nobody", async () => {
      await using first = await Meeting.open(login());
      const waiting = first.exchange("the first's", never);
      const code = parseCode(first.code)!;
      await using stranger = await TurnAllocation.open(login());
      await stranger.permit(code.address);
      for (let i = 0; i < 50; i++) stranger.send(code.address, Buffer.alloc(20 + 20 * i, i));
      const wrong = { ...code, secret: Uint8Array.from(code.secret, (byte) => byte ^ 1) };
      await using guesser = await Meeting.open(login(), wrong);
      void guesser.exchange("a guess", never).catch(() => {});
      await using second = await Meeting.open(login(), code);
      assert.equal(await second.exchange("the second's", never), "the first's");
      assert.equal(await waiting, "the second's");
      await using third = await Meeting.open(login(), code);
      await assert.rejects(third.exchange("the third's", never), { code: "peer-taken" });
    });

    test("a code for another server is told before anything is sent", async () => {
      const code = { address: parseIp("198.51.100.7", 50_000)!, secret: new Uint8Array(10) };
      assert.ok(parseCode(formatCode(code)));
      await assert.rejects(Meeting.open(login(), code), { code: "other-server", message: /names 198\.51\.100\.7/ });
    });

    test("who waits in vain is told by the signal, and the server has nothing left of it", async () => {
      const first = await Meeting.open(login());
      await assert.rejects(first.exchange("the first's", AbortSignal.timeout(50)), { name: "TimeoutError" });
      await first.close();
      await using second = await Meeting.open(login(), parseCode(first.code)!);
      await assert.rejects(second.exchange("the second's", AbortSignal.timeout(500)), { name: "TimeoutError" });
    });
  });
}

test("a server that ends takes the code with it, which is told", async () => {
  const port = await freePort();
  const relay = await startPostern({
    ...{ addresses: ["127.0.0.1"], user, port, tlsPort: await freePort() },
    ...{ relayPorts: await freePortRange(64), allowPeers: ["127.0.0.0/8"] },
  });
  const url = `turn:127.0.0.1:${port}?transport=tcp`;
  await using first = await Meeting.open({ url, username: user.name, credential: user.password });
  const waiting = first.exchange("the first's", never);
  await Promise.all([assert.rejects(waiting, { code: "relay-lost" }), relay.stop()]);
});

test("a server that does not relay to its own clients is named, with what to do instead", {
  skip: requirePeer("turnserver"),
}, async () => {
  const port = await freePort();
  const relay = await startCoturn({
    ...{ addresses: ["127.0.0.1"], user, port, relayPorts: await freePortRange(64), allowPeers: [] },
    coturn: ["--denied-peer-ip=127.0.0.1"],
  });
  const open = Meeting.open({ url: `turn:127.0.0.1:${port}`, username: user.name, credential: user.password });
  await assert.rejects(open, { code: "no-relay-to-relay", message: /--paste/ });
  await relay.stop();
});
