/** The daemon with `nat-discovery: auto`, asked over real sockets on two loopback addresses. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { on, once } from "node:events";
import { createConnection } from "node:net";
import { describe, test } from "node:test";
import { blankAddress, formatAddress } from "../../src/core/base/address.ts";
import { Attribute, MessageClass, Method } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../src/core/stun/writer.ts";
import { startDaemon } from "../support/daemon.ts";
import { requireForeign } from "../support/peers.ts";
import { freePort } from "../support/ports.ts";

const listen = ["127.0.0.1", "127.0.0.2"];

interface Heard {
  readonly from: string;
  readonly view: StunView;
}

function request(fill: (writer: StunWriter) => unknown = () => {}): Uint8Array {
  const writer = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(randomBytes(12)));
  fill(writer);
  return writer.finish();
}

function told({ view }: Heard, type: number): string {
  const address = blankAddress();
  return view.has(type) && view.addressAt(view.indexOf(type), address) ? formatAddress(address) : "nothing";
}

/** Sends from a socket of its own, whose answer may come from anywhere. */
async function ask(data: Uint8Array, port: number): Promise<Heard> {
  const socket = createSocket("udp4");
  try {
    const messages = on(socket, "message", { signal: AbortSignal.timeout(60_000) });
    socket.send(data, port, "127.0.0.1");
    for await (const [answer, { address, port: from }] of messages) {
      const view = new StunView();
      assert.equal(view.decode(answer), undefined);
      return { from: `${address}:${from}`, view };
    }
    throw new Error("nothing was heard");
  } finally {
    socket.close();
  }
}

describe("a daemon with two addresses", () => {
  for (const shards of [1, 2]) {
    const skip = shards > 1 && requireForeign();
    const title = `RFC 5780 §6.1: answers leave by the socket that was asked for, over UDP; TCP names the other address; shards: ${shards}`;
    test(title, { skip }, async () => {
      const alternate = await freePort();
      await using daemon = await startDaemon({
        listen,
        flags: ["--nat-discovery", "auto", "--alternate-port", `${alternate}`, "--shards", `${shards}`],
      });
      const { port } = daemon.ports;
      for (const [flags, from] of [
        [0, `127.0.0.1:${port}`],
        [2, `127.0.0.1:${alternate}`],
        [4, `127.0.0.2:${port}`],
        [6, `127.0.0.2:${alternate}`],
      ] as const) {
        const heard = await ask(
          request((writer) => writer.u32(Attribute.ChangeRequest, flags)),
          port,
        );
        assert.equal(heard.from, from);
        assert.equal(told(heard, Attribute.ResponseOrigin), from);
        assert.equal(told(heard, Attribute.OtherAddress), `127.0.0.2:${alternate}`);
      }
      for (const [at, other] of [
        [port, alternate],
        [alternate, port],
      ] as const) {
        const stream = createConnection(at, "127.0.0.2");
        stream.write(request());
        const [answer] = (await once(stream, "data")) as [Buffer];
        stream.destroy();
        const view = new StunView();
        assert.equal(view.decode(answer), undefined);
        assert.equal(told({ from: "", view }, Attribute.OtherAddress), `127.0.0.1:${other}`);
      }
    });
  }

  test("unless it is configured, nothing more is open and CHANGE-REQUEST is 420", async () => {
    const alternate = await freePort();
    await using daemon = await startDaemon({ listen, flags: ["--alternate-port", `${alternate}`] });
    const changed = await ask(
      request((writer) => writer.u32(Attribute.ChangeRequest, 6)),
      daemon.ports.port,
    );
    assert.deepEqual(changed.view.bytes(Attribute.ErrorCode)?.subarray(2), Buffer.from([4, 20]));
    assert.equal(told(await ask(request(), daemon.ports.port), Attribute.OtherAddress), "nothing");
    const free = createSocket("udp4");
    await new Promise<void>((bound) => free.bind(alternate, "127.0.0.2", bound));
    free.close();
  });

  test("with one address it says that it needs two, and serves on", async () => {
    await using daemon = await startDaemon({ flags: ["--nat-discovery", "auto"] });
    await daemon.logged("nat-discovery-needs-two-addresses");
    const changed = await ask(
      request((writer) => writer.u32(Attribute.ChangeRequest, 6)),
      daemon.ports.port,
    );
    assert.deepEqual(changed.view.bytes(Attribute.ErrorCode)?.subarray(2), Buffer.from([4, 20]));
  });
});
